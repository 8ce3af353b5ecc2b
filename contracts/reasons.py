"""Why something is not taken: one catalogue of codes for answers, outcomes, mails and pages.

A code is for ever; its words may be mended. Words name what is wrong in the terms of the person who keyed it
in; `todo` says what that person can do now. Places in braces are filled from the params of the code.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from contracts import vietnamese


@dataclass(frozen=True, slots=True)
class Reason:
    """A code and its words, Vietnamese first."""

    code: str
    vi: str
    en: str
    todo_vi: str
    todo_en: str


_ALL: Final = (
    # The request as a whole.
    Reason(
        "not-http",
        "Nội dung gửi đến không phải là một yêu cầu HTTP/1.1 đúng quy cách.",
        "What was sent is no well-formed HTTP/1.1 request.",
        "Báo cho người phụ trách phần mềm: kiểm tra địa chỉ (https hay http), tiêu đề và độ dài nội dung của yêu cầu.",
        "Tell whoever looks after your software: check the address (https or http), the headers and the body's length.",
    ),
    Reason(
        "unauthenticated",
        "Không nhận ra khóa truy cập, hoặc khóa đã bị thay hay tạm ngừng.",
        "The access key is not known, or was replaced or suspended.",
        "Kiểm tra khóa trong phần cài đặt của phần mềm; nếu vẫn không được, xin khóa mới ở đơn vị vận hành.",
        "Check the key in your software's settings; if that does not help, ask the operators for a new one.",
    ),
    Reason(
        "unsupported-media-type",
        "Kiểu nội dung của yêu cầu không phải là CloudEvents dạng JSON.",
        "The content type of the request is not CloudEvents in JSON.",
        "Gửi với Content-Type application/cloudevents+json (một sự kiện) "
        "hoặc application/cloudevents-batch+json (nhiều sự kiện).",
        "Send it as application/cloudevents+json (one) or application/cloudevents-batch+json (many events).",
    ),
    Reason(
        "request-too-large",
        "Yêu cầu vượt quá {max} byte.",
        "The request is larger than {max} bytes.",
        "Chia thành nhiều lần gửi nhỏ hơn.",
        "Split it into several smaller requests.",
    ),
    Reason(
        "too-many-events",
        "Yêu cầu có hơn {max} sự kiện.",
        "The request holds more than {max} events.",
        "Chia thành nhiều lần gửi, mỗi lần không quá {max} sự kiện.",
        "Split it into several requests of at most {max} events.",
    ),
    Reason(
        "too-many-values",
        "Yêu cầu có quá nhiều giá trị (hơn {max}).",
        "The request holds too many values (more than {max}).",
        "Chỉ gửi những trường có trong mô tả; chia thành nhiều lần gửi nhỏ hơn.",
        "Send only the fields of the description; split it into several smaller requests.",
    ),
    Reason(
        "rate-limited",
        "Gửi quá nhanh hoặc quá nhiều yêu cầu cùng lúc; yêu cầu này chưa được xử lý.",
        "Too much is asked at a time; this request was not handled.",
        "Gửi lại nguyên yêu cầu sau thời gian ghi ở Retry-After, rồi gửi chậm hơn; gộp nhiều sự kiện vào một lần gửi.",
        "Send the same request again after the time in Retry-After, then slower; many events fit into one request.",
    ),
    Reason(
        "too-slow",
        "Nội dung của yêu cầu không đến đủ trong {seconds} giây.",
        "The body of the request did not arrive within {seconds} seconds.",
        "Gửi lại; nếu đường truyền chậm thì chia thành nhiều lần gửi nhỏ hơn.",
        "Send it again; on a slow line, split it into several smaller requests.",
    ),
    Reason(
        "busy",
        "Hệ thống tạm thời chưa phục vụ được yêu cầu này.",
        "The system cannot serve this request for the moment.",
        "Gửi lại nguyên yêu cầu sau thời gian ghi ở Retry-After; gửi lại không sinh ra bản trùng.",
        "Send the same request again after the time in Retry-After; repeating it makes no duplicates.",
    ),
    Reason(
        "server-error",
        "Hệ thống gặp lỗi; chưa rõ yêu cầu đã được xử lý hay chưa.",
        "The system failed; whether the request was handled is not known.",
        "Gửi lại nguyên yêu cầu; gửi lại không sinh ra bản trùng.",
        "Send the same request again; repeating it makes no duplicates.",
    ),
    Reason(
        "not-found",
        "Không có bản ghi này, hoặc nó không thuộc tỉnh của bạn.",
        "There is no such record, or it is not your province's.",
        "Kiểm tra mã đã nhận trong câu trả lời khi gửi.",
        "Check the id that you were given in the answer when sending.",
    ),
    Reason(
        "no-such-thing",
        "Không có gì ở địa chỉ này, hoặc địa chỉ không nhận cách gọi (phương thức HTTP) này.",
        "There is nothing at this address, or it does not take this HTTP method.",
        "Kiểm tra địa chỉ theo mô tả ở /docs; điều cần xem cũng có thể chưa có trong dữ liệu đã nhận.",
        "Check the address with the description at /docs; what you look for may also not have been received yet.",
    ),
    Reason(
        "unknown-parameter",
        "Ở đây không có tham số này, hoặc tham số không dùng được cho số liệu đang hỏi.",
        "There is no such parameter here, or it does not go with the figure that is asked for.",
        "Bỏ tham số, hoặc sửa tên theo mô tả ở /docs.",
        "Leave it out, or mend its name by the description at /docs.",
    ),
    Reason(
        "bad-cursor",
        "Giá trị này không phải là vị trí trang (next) mà hệ thống đã cấp.",
        "This is not the place of a page (next) that an answer has given.",
        "Ghi đúng giá trị next trong câu trả lời của trang trước; muốn xem từ trang đầu thì bỏ after.",
        "Give the value of next in the answer of the page before; for the first page, leave after out.",
    ),
    # The event as a document.
    Reason(
        "malformed-json",
        "Nội dung không phải là JSON hợp lệ.",
        "The content is not well-formed JSON.",
        "Báo cho người phụ trách phần mềm: tệp JSON bị lỗi cú pháp hoặc không phải mã UTF-8.",
        "Tell whoever looks after your software: the JSON has a syntax error or is not UTF-8.",
    ),
    Reason(
        "duplicate-key",
        "“{key}” được ghi hai lần, nhưng chỉ được có một.",
        "“{key}” stands twice, where there may be one.",
        "Chỉ giữ lại một lần ghi.",
        "Keep only one of them.",
    ),
    Reason(
        "event-too-large",
        "Sự kiện vượt quá {max} byte.",
        "The event is larger than {max} bytes.",
        "Chỉ gửi những trường có trong mô tả; không gửi kèm tệp hay ảnh.",
        "Send only the fields of the description; no files or pictures.",
    ),
    Reason(
        "unknown-type",
        "Không có loại sự kiện “{value}”.",
        "There is no event type “{value}”.",
        "Chọn một loại trong danh mục loại sự kiện, ghi đủ cả phiên bản (….v1).",
        "Take a type of the catalogue of event types, with its version (….v1).",
    ),
    Reason(
        "missing-field",
        "Thiếu trường bắt buộc này.",
        "This required field is missing.",
        "Bổ sung trường rồi gửi lại.",
        "Add the field and send again.",
    ),
    Reason(
        "unknown-field",
        "Trường này không có trong mô tả của loại sự kiện.",
        "This field is not in the description of the event type.",
        "Bỏ trường, hoặc sửa tên nếu ghi nhầm. Không gửi ghi chú hay thông tin về người.",
        "Remove it, or mend its name if mistyped. Notes and data on persons are never sent.",
    ),
    Reason(
        "wrong-type",
        "Kiểu giá trị không đúng, phải là {expected}.",
        "The value is of the wrong kind; it must be: {expected}.",
        'Ghi đúng kiểu: số không đặt trong dấu nháy (4, không phải "4"), chữ đặt trong dấu nháy.',
        'Write the right kind: numbers without quotes (4, not "4"), text in quotes.',
    ),
    Reason(
        "bad-value",
        "Giá trị không nằm trong danh sách cho phép: {allowed}.",
        "The value is not one of the list: {allowed}.",
        "Chọn một giá trị trong danh sách.",
        "Take a value of the list.",
    ),
    Reason(
        "too-short",
        "Trường có mặt nhưng để trống.",
        "The field is there but empty.",
        "Ghi nội dung, hoặc bỏ hẳn trường nếu chưa biết.",
        "Fill it in, or leave the field out if it is not known.",
    ),
    Reason(
        "too-long",
        "Nội dung dài quá {max} ký tự.",
        "The text is longer than {max} characters.",
        "Rút ngắn lại.",
        "Shorten it.",
    ),
    Reason(
        "bad-pattern",
        "Giá trị không đúng dạng quy định. Ví dụ đúng: {example}.",
        "The value does not have the prescribed form. A right example: {example}.",
        "Ghi theo dạng của ví dụ.",
        "Write it in the form of the example.",
    ),
    Reason(
        "bad-date",
        "Ngày không có thật hoặc không đúng dạng.",
        "The date does not exist or is not in the prescribed form.",
        "Ghi ngày dạng 2025-06-19; nơi cho phép ghi ngày chưa đủ thì 2025-06 hoặc 2025.",
        "Write a day as 2025-06-19; where a partial date is allowed, also 2025-06 or 2025.",
    ),
    Reason(
        "bad-time",
        "Thời điểm không đúng dạng, phải có giây và múi giờ.",
        "The time is not in the prescribed form, with seconds and a zone.",
        "Ghi dạng 2026-08-05T00:00:00+07:00.",
        "Write it as 2026-08-05T00:00:00+07:00.",
    ),
    Reason(
        "time-out-of-range",
        "Thời điểm trước năm 2018 hoặc trong tương lai.",
        "The time lies before 2018 or in the future.",
        "Kiểm tra đồng hồ của máy gửi và năm đã ghi.",
        "Check the clock of the sending computer and the year written.",
    ),
    Reason(
        "control-character",
        "Nội dung có ký tự ẩn (xuống dòng, tab, dấu cách đặc biệt, ký tự không nhìn thấy).",
        "The text holds hidden characters (line breaks, tabs, special spaces, invisible marks).",
        "Gõ lại nội dung trên một dòng thay vì dán từ tài liệu khác.",
        "Type it anew on one line instead of pasting it from another document.",
    ),
    Reason(
        "outer-space",
        "Có dấu cách ở đầu hoặc cuối.",
        "There is a space at the beginning or the end.",
        "Xóa dấu cách thừa.",
        "Remove it.",
    ),
    Reason(
        "legacy-encoding",
        "Chữ viết theo bảng mã cũ (TCVN3/ABC hoặc VNI), không phải Unicode.",
        "The text is in an old Vietnamese encoding (TCVN3/ABC or VNI), not in Unicode.",
        "Chuyển sang Unicode dựng sẵn bằng bộ gõ (ví dụ công cụ chuyển mã của UniKey) rồi gửi lại.",
        "Convert it to precomposed Unicode (with UniKey's converter, for instance), then send again.",
    ),
    Reason(
        "personal-data",
        "Có vẻ có dữ liệu cá nhân (số điện thoại, địa chỉ thư hoặc số định danh 12 chữ số).",
        "There seems to be personal data (a phone number, a mail address or a personal number of 12 digits).",
        "Bỏ dữ liệu cá nhân; hệ thống không nhận dữ liệu về người (Luật 91/2025/QH15).",
        "Leave it out; the system takes no data on persons (Law 91/2025/QH15).",
    ),
    Reason(
        "house-address",
        "Địa bàn ghi đến số nhà, ngõ, thôn hoặc tổ.",
        "The place goes down to a house, lane, hamlet or block.",
        "Chỉ ghi đơn vị hành chính: xã, phường, huyện, tỉnh.",
        "Name administrative units only: commune, ward, district, province.",
    ),
    Reason(
        "personal-page",
        "Địa chỉ là trang cá nhân hoặc trang mạng xã hội, không phải trang bán hàng trên sàn.",
        "The address is a personal or social page, not an offer on a platform.",
        "Ghi địa chỉ trang sản phẩm trên sàn, hoặc bỏ trường này.",
        "Give the address of the product's page on the platform, or leave the field out.",
    ),
    Reason(
        "not-a-trade-name",
        "Tên của hộ, trang trại, cơ sở (hoặc chủ thể chưa rõ loại hình) chỉ được gửi khi là tên thương mại.",
        "A household, farm, establishment or owner of unknown kind may be named by a trade name only.",
        "Nếu là tên thương mại, ghi name_is_trade_name = true; nếu là họ tên người, bỏ business_name.",
        "If it is a trade name, say name_is_trade_name = true; if a person's name, leave business_name out.",
    ),
    Reason(
        "tax-code-of-person",
        "Mã số thuế của hộ, trang trại, cơ sở (hoặc chủ thể chưa rõ loại hình) là dữ liệu cá nhân.",
        "The tax code of a household, farm, establishment or owner of unknown kind is personal data.",
        "Bỏ mã số thuế, hoặc ghi đúng loại hình nếu là hợp tác xã hay doanh nghiệp.",
        "Leave it out, or state the kind if the owner is a cooperative or an enterprise.",
    ),
    Reason(
        "unknown-unit",
        "Danh mục {catalogue} không có tỉnh mã {code}.",
        "The catalogue of {catalogue} has no province {code}.",
        "Kiểm tra mã và danh mục của mã: 2004 (63 tỉnh, đến 30/6/2025) hay 2025 (34 tỉnh, từ 1/7/2025).",
        "Check code and catalogue: 2004 (63 provinces, to 30/6/2025) or 2025 (34 provinces, from 1/7/2025).",
    ),
    Reason(
        "set-without-its-regime",
        "Bộ sản phẩm chỉ có trong Quyết định 26/2026/QĐ-TTg.",
        "Criteria sets are those of decision 26/2026/QĐ-TTg only.",
        "Ghi regime = 26-2026 nếu đánh giá theo quyết định đó, nếu không thì bỏ criteria_set.",
        "Say regime = 26-2026 if it was assessed by that decision, else leave criteria_set out.",
    ),
    Reason(
        "set-of-another-group",
        "Bộ sản phẩm số {set} không thuộc ngành {group}.",
        "Criteria set {set} is not of the group {group}.",
        "Kiểm tra số bộ và ngành theo Phụ lục I của Quyết định 26/2026/QĐ-TTg.",
        "Check the set and the group with Appendix I of decision 26/2026/QĐ-TTg.",
    ),
    Reason(
        "ends-before-issue",
        "Ngày hết hạn trước ngày cấp ({issued_on}).",
        "It ends before the day of issue, {issued_on}.",
        "Kiểm tra hai ngày với giấy chứng nhận.",
        "Check both dates with the certificate.",
    ),
    Reason(
        "ended-before-it-began",
        "Ngày kết thúc trước ngày bắt đầu ({began}).",
        "It ended before it began, on {began}.",
        "Kiểm tra hai ngày với quyết định, hoặc với trang bán hàng.",
        "Check both dates with the decision, or with the page where it is sold.",
    ),
    Reason(
        "subject-mismatch",
        "Subject không trùng với đối tượng trong dữ liệu ({expected}).",
        "The subject is not what the data is about ({expected}).",
        "Bỏ subject, hoặc ghi đúng {expected}.",
        "Leave the subject out, or write {expected}.",
    ),
    Reason(
        "forbidden",
        "Khóa của bạn không được gửi {what}; được phép: {allowed}.",
        "Your key may not send {what}; allowed: {allowed}.",
        "Kiểm tra nguồn, không gian tên và loại sự kiện; cần thêm quyền thì liên hệ đơn vị vận hành.",
        "Check source, namespace and event type; if you need a wider key, ask the operators.",
    ),
    Reason(
        "conflict",
        "Mã sự kiện này đã được dùng cho một nội dung khác.",
        "This event id was already used for other content.",
        "Nếu là sự kiện mới hoặc nội dung đã sửa, gửi với một mã mới.",
        "If it is a new event or mended content, send it with a new id.",
    ),
    Reason(
        "target-not-found",
        "Không tìm thấy sự kiện {event_id} đã gửi từ cùng nguồn.",
        "There is no event {event_id} sent from the same source.",
        "Ghi đúng mã sự kiện của chính nguồn này mà bạn muốn rút.",
        "Give the id of the event of this very source that you want to take back.",
    ),
    # The rules, looked at by the service that decides.
    Reason(
        "behind-earlier",
        "Một sự kiện trước đó của cùng đối tượng còn đang chờ; sự kiện này xếp sau nó.",
        "An earlier event of the same subject still waits; this one stands behind it.",
        "Không cần gửi lại. Xem sự kiện trước đang chờ điều gì và gửi điều đó.",
        "No need to send again. See what the earlier one waits for, and send that.",
    ),
    Reason(
        "unknown-owner",
        "Chủ thể {ref} chưa được đăng ký; sự kiện chờ đến khi chủ thể được đăng ký.",
        "The owner {ref} is not registered yet; the event waits until it is.",
        "Gửi đăng ký chủ thể (owner.registered), hoặc rút sự kiện này nếu ghi sai mã.",
        "Send the owner's registration (owner.registered), or take this event back if the ref is wrong.",
    ),
    Reason(
        "unknown-product",
        "Sản phẩm {ref} chưa được đăng ký; sự kiện chờ đến khi sản phẩm được đăng ký.",
        "The product {ref} is not registered yet; the event waits until it is.",
        "Gửi đăng ký sản phẩm (product.registered), hoặc rút sự kiện này nếu ghi sai mã.",
        "Send the product's registration (product.registered), or take this event back if the ref is wrong.",
    ),
    Reason(
        "foreign-reference",
        "{ref} thuộc tỉnh khác.",
        "{ref} belongs to another province.",
        "Chỉ tham chiếu đến chủ thể và sản phẩm của tỉnh mình.",
        "Refer only to owners and products of your own province.",
    ),
    Reason(
        "already-registered",
        "{ref} đã được đăng ký.",
        "{ref} is registered already.",
        "Muốn thay đổi thì gửi bản cập nhật (updated) với ngày áp dụng; đối tượng khác thì dùng mã khác.",
        "To change it, send an update with the day from which it holds; for another thing take another ref.",
    ),
    Reason(
        "not-registered",
        "{ref} chưa được đăng ký.",
        "{ref} is not registered.",
        "Gửi đăng ký (registered) trước, rồi gửi lại với một mã sự kiện mới.",
        "Register it first, then send this again with a new event id.",
    ),
    Reason(
        "after-submission-time",
        "Ngày này sau ngày của sự kiện ({time}).",
        "This day lies after the day of the event ({time}).",
        "Chỉ gửi điều đã xảy ra: kiểm tra ngày này và thời điểm (time) của sự kiện.",
        "Send only what has happened: check this day and the event's time.",
    ),
    Reason(
        "place-catalogue-date",
        "Mã tỉnh theo danh mục {catalogue} không dùng được cho ngày {day}.",
        "A province code of the catalogue of {catalogue} cannot be used for {day}.",
        "Đến 30/6/2025 dùng danh mục 2004, từ 1/7/2025 dùng danh mục 2025.",
        "Use the catalogue of 2004 up to 30/6/2025, that of 2025 from 1/7/2025.",
    ),
    Reason(
        "already-closed",
        "Chủ thể {ref} đã được báo chấm dứt.",
        "The owner {ref} was reported closed already.",
        "Không cần gửi lại.",
        "No need to send it again.",
    ),
    Reason(
        "already-discontinued",
        "Sản phẩm {ref} đã được báo ngừng sản xuất.",
        "The product {ref} was reported discontinued already.",
        "Không cần gửi lại.",
        "No need to send it again.",
    ),
    Reason(
        "after-closing",
        "Chủ thể {ref} đã được báo chấm dứt, chậm nhất ngày {last_day}; "
        "không ghi nhận thay đổi áp dụng từ sau ngày đó.",
        "The owner {ref} was reported closed, on {last_day} at the latest; a change from a later day is not recorded.",
        "Kiểm tra ngày áp dụng (effective_on); nếu chủ thể hoạt động trở lại thì đăng ký với mã khác.",
        "Check the day from which it holds (effective_on); register an owner that is active again under another ref.",
    ),
    Reason(
        "after-discontinuation",
        "Sản phẩm {ref} đã được báo ngừng sản xuất, chậm nhất ngày {last_day}; "
        "không ghi nhận thay đổi áp dụng từ sau ngày đó.",
        "The product {ref} was reported discontinued, on {last_day} at the latest; "
        "a change from a later day is not recorded.",
        "Kiểm tra ngày áp dụng (effective_on); nếu sản phẩm được sản xuất trở lại thì đăng ký với mã khác.",
        "Check the day from which it holds (effective_on); register a product that is made again under another ref.",
    ),
    Reason(
        "too-many-documents",
        "Đối tượng này đã có {max} bản theo ngày áp dụng, là số nhiều nhất.",
        "There are {max} documents of it already, each from another day, and there may be no more.",
        "Chỉ gửi bản cập nhật khi có thay đổi; sửa một bản đã gửi thì ghi đúng ngày áp dụng của bản đó.",
        "Send an update only when something has changed; to mend one that was sent, name its own day.",
    ),
    Reason(
        "too-many-recognitions",
        "Sản phẩm đã có {max} lần công nhận, là số nhiều nhất.",
        "The product has {max} recognitions already, and there may be no more.",
        "Sửa lần đã gửi thì gửi đính chính (recognition.corrected) với mã của lần đó.",
        "To mend one that was sent, send recognition.corrected with its ref.",
    ),
    Reason(
        "recognition-exists",
        "Sản phẩm đã có lần công nhận mang mã {recognition_ref}.",
        "The product already has a recognition with the ref {recognition_ref}.",
        "Lần công nhận khác thì dùng mã khác; sửa lần đã gửi thì gửi đính chính (recognition.corrected).",
        "For another recognition take another ref; to mend the one sent, send recognition.corrected.",
    ),
    Reason(
        "unknown-recognition",
        "Sản phẩm không có lần công nhận mang mã {recognition_ref}.",
        "The product has no recognition with the ref {recognition_ref}.",
        "Kiểm tra mã; nếu chưa gửi lần công nhận đó thì gửi trước.",
        "Check the ref; if that recognition was not sent yet, send it first.",
    ),
    Reason(
        "previous-unknown",
        "Sản phẩm không có lần công nhận trước mang mã {recognition_ref}.",
        "The product has no earlier recognition with the ref {recognition_ref}.",
        "Gửi lần trước đã, hoặc bỏ previous_ref nếu không biết lần trước.",
        "Send the earlier one first, or leave previous_ref out if it is not known.",
    ),
    Reason(
        "still-valid",
        "Ngay trước ngày cấp, lần công nhận {recognition_ref} của sản phẩm vẫn còn hiệu lực.",
        "On the day before it was issued, the product's recognition {recognition_ref} was still valid.",
        "Nếu là đánh giá lại thì gửi recognition.renewed, nâng hạng thì gửi recognition.upgraded.",
        "Send a re-evaluation as recognition.renewed, an upgrade as recognition.upgraded.",
    ),
    Reason(
        "not-more-stars",
        "Nâng hạng phải có nhiều sao hơn lần trước ({before} sao).",
        "An upgrade must have more stars than before ({before}).",
        "Kiểm tra hạng sao; đánh giá lại cùng hạng hoặc thấp hơn thì gửi recognition.renewed.",
        "Check the stars; send a re-evaluation with equal or fewer stars as recognition.renewed.",
    ),
    Reason(
        "authority-not-competent",
        "{level} không có thẩm quyền công nhận {stars} sao.",
        "An authority of the level {level} cannot recognise {stars} stars.",
        "Kiểm tra hạng sao và cấp ban hành: 5 sao do Bộ, 4 sao không do cấp huyện.",
        "Check stars and level: 5 stars only by the ministry, 4 stars not by a district.",
    ),
    Reason(
        "authority-abolished",
        "Cơ quan ban hành không còn tồn tại sau ngày 30/6/2025.",
        "The issuing authority no longer existed after 30/6/2025.",
        "Kiểm tra ngày cấp và cơ quan: từ 1/7/2025 không còn cấp huyện và các tỉnh đã sáp nhập.",
        "Check the day and the authority: from 1/7/2025 there are no districts and no merged provinces.",
    ),
    Reason(
        "already-revoked",
        "Lần công nhận {recognition_ref} đã được báo thu hồi.",
        "The recognition {recognition_ref} was reported revoked already.",
        "Không cần gửi lại.",
        "No need to send it again.",
    ),
    Reason(
        "platform-closed",
        "Sàn {platform} đã đóng cửa ngày {closed_on}.",
        "The platform {platform} closed on {closed_on}.",
        "Kiểm tra sàn và ngày.",
        "Check the platform and the day.",
    ),
    Reason(
        "already-listed",
        "{ref} đã được báo đang bán trên sàn.",
        "{ref} was reported as listed already.",
        "Gian hàng khác thì dùng mã khác.",
        "For another listing take another ref.",
    ),
    Reason(
        "not-listed",
        "{ref} chưa được báo là đang bán trên sàn.",
        "{ref} was never reported as listed.",
        "Gửi listing.listed trước, rồi gửi lại với một mã sự kiện mới.",
        "Send listing.listed first, then this again with a new event id.",
    ),
    Reason(
        "already-delisted",
        "{ref} đã được báo ngừng bán trên sàn.",
        "{ref} was reported as delisted already.",
        "Không cần gửi lại; bán trở lại thì dùng mã khác.",
        "No need to send it again; for a new listing take another ref.",
    ),
    # The way of a submission.
    Reason(
        "not-held",
        "Sự kiện cần rút không còn ở trạng thái chờ (hiện nay: {state}).",
        "The event to be taken back no longer waits (it is: {state}).",
        "Nếu nó đã được áp dụng mà sai, gửi bản cập nhật hoặc đính chính.",
        "If it was applied and is wrong, send an update or a correction.",
    ),
    Reason(
        "undecodable",
        "Hệ thống không đọc được bản ghi đã nhận; đơn vị vận hành đã được báo.",
        "The system cannot read the record that it took; its operators have been told.",
        "Không cần gửi lại; lỗi thuộc về hệ thống.",
        "No need to send again; the fault is the system's.",
    ),
    Reason(
        "handler-error",
        "Hệ thống gặp lỗi khi xử lý sự kiện; đơn vị vận hành đã được báo.",
        "The system failed while handling the event; its operators have been told.",
        "Không cần gửi lại; lỗi thuộc về hệ thống.",
        "No need to send again; the fault is the system's.",
    ),
    Reason(
        "passed-over",
        "Đơn vị vận hành đã bỏ qua bản ghi này vì hệ thống không xử lý được.",
        "The operators have passed over this record, which the system could not handle.",
        "Gửi lại nội dung với mã sự kiện mới; nếu vẫn không được, báo đơn vị vận hành.",
        "Send the content again under a new event id; if that fails too, tell the operators.",
    ),
)

REASONS: Final[dict[str, Reason]] = {reason.code: reason for reason in _ALL}


def reason(code: str) -> Reason:
    """The reason with that code; raises KeyError for a code that is not in the catalogue."""
    return REASONS[code]


class _Params(dict[str, Any]):
    def __missing__(self, key: str) -> str:
        return "…"


def words(code: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """`{message_vi, message_en, help: {vi, en}}` of a code, its params filled in; in Vietnamese by their words."""
    found, en = reason(code), _Params(params)
    vi = _Params({name: vietnamese.said(name, value) for name, value in params.items()})
    return {
        "message_vi": found.vi.format_map(vi),
        "message_en": found.en.format_map(en),
        "help": {"vi": found.todo_vi.format_map(vi), "en": found.todo_en.format_map(en)},
    }
