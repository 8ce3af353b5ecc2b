"""The rules of delivery, each looked at in databases and topics; `ocop.oracle` asks them all."""
