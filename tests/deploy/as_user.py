"""Runs a service as a user of Kafka of its own, which its settings cannot say yet: `python -m tests.deploy.as_user`.

OCOP_TEST_PACKAGE is the service's package, OCOP_TEST_USER its user; the password is the same word.
"""

import os
import runpy
from typing import Any

from aiokafka.client import AIOKafkaClient

USER = os.environ["OCOP_TEST_USER"]
begin = AIOKafkaClient.__init__


def as_user(self: Any, **options: Any) -> None:
    """Whatever a client was told: it names itself."""
    named = {"security_protocol": "SASL_PLAINTEXT", "sasl_plain_username": USER, "sasl_plain_password": USER}
    begin(self, **options | named)


AIOKafkaClient.__init__ = as_user
runpy.run_module(os.environ["OCOP_TEST_PACKAGE"], run_name="__main__", alter_sys=True)
