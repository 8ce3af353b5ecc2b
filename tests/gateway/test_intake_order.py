"""What one request brings goes on in the order in which it stood there, whatever it is called."""

from tests.engines import Databases
from tests.gateway.serving import BATCH, served
from tests.submissions import owner, owner_updated


async def test_what_comes_in_one_request_goes_on_in_its_order(databases: Databases) -> None:
    names = ["m", "z", "a", "y", "b", "x"]
    events = [owner(id_=names[0]), *(owner_updated(id_=name) for name in names[1:])]
    async with served(await databases.make("gateway")) as gateway:
        headers = await gateway.key("2025-68") | {"Content-Type": BATCH}
        answer = await gateway.client.post("/v1/events", json=events, headers=headers)
        assert [result["status"] for result in answer.json()["results"]] == ["accepted"] * len(names)
        rows = await gateway.pool.fetch("SELECT headers->>'ce_id' AS name FROM outbox ORDER BY id")
    assert [row["name"] for row in rows] == names
