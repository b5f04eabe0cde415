from pathlib import Path

import pytest

from autointerp.session.gateway import find_price
from autointerp.settings import ModelSettings

OWN = "a server of your own"


@pytest.mark.parametrize(
    ("host", "own"),
    [
        ("gpu1", True),
        ("vllm-0.vllm.default.svc", True),
        ("vllm.default.svc.cluster.local", True),
        ("gpu1.lan", True),
        ("10.0.0.1", True),
        ("8.8.8.8", False),
        ("gpu1.example.org", False),
    ],
)
def test_a_server_of_the_private_network_costs_nothing(host: str, own: bool):
    price = find_price(ModelSettings(model="gpt-5-mini", base_url=f"http://{host}:8000/v1"), None)

    assert price is not None
    assert (price.source == OWN) is own


def test_a_price_that_the_users_file_states_holds_for_a_private_server_too(tmp_path: Path):
    (tmp_path / "prices.toml").write_text('["own"]\ninput = 2.0\noutput = 4.0\nsource = "contract"\n')

    price = find_price(ModelSettings(model="own", base_url="http://gpu1:8000/v1"), tmp_path / "prices.toml")

    assert price is not None
    assert (price.rates.input, price.source) == (2.0, "contract")
