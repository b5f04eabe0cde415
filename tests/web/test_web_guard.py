"""Who is served by the pages that this program makes, and who may change something."""

import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.testclient import TestClient

from autointerp.web.guard import CHANGES, Guard, guarded

AT = "http://127.0.0.1:8765"


async def _hello(request: Request) -> Response:
    return PlainTextResponse("hello")


def client(guard: Guard, at: str) -> TestClient:
    app = guarded([Route("/", _hello, methods=["GET", "POST"])], guard)
    return TestClient(app, base_url=at, follow_redirects=False)


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:1", "localhost", "[::1]:8765"])
def test_this_machine_is_served_without_a_token(host: str):
    assert client(Guard.at("127.0.0.1"), "http://127.0.0.1").get("/", headers={"host": host}).text == "hello"


@pytest.mark.parametrize(
    "host", ["evil.com", "evil.com:8765", "127.0.0.1.evil.com", "localhost.evil.com", "", "[", "10.0.0.7"]
)
def test_a_foreign_name_that_leads_here_is_not_served(host: str):
    answer = client(Guard.at("127.0.0.1"), "http://127.0.0.1").get("/", headers={"host": host})

    assert (answer.status_code, "hello" in answer.text) == (421, False)


def test_elsewhere_a_token_is_needed_once():
    guard = Guard.at("0.0.0.0")
    asked = client(guard, "http://10.0.0.7:8765")

    assert asked.get("/").status_code == 403
    assert asked.get("/?token=wrong").status_code == 403
    moved = asked.get(f"/?token={guard.token}&q=cat")
    assert (moved.status_code, moved.headers["location"]) == (303, "/?q=cat")
    assert "HttpOnly" in moved.headers["set-cookie"]
    assert "samesite=strict" in moved.headers["set-cookie"].lower()
    assert asked.get("/").text == "hello"


def test_two_servers_of_one_machine_keep_their_tokens_apart():
    guards = {port: Guard.at("0.0.0.0") for port in (8765, 8766)}
    asked = {port: client(guard, f"http://10.0.0.7:{port}") for port, guard in guards.items()}
    given: dict[str, str] = {}
    for port, guard in guards.items():
        given |= dict(asked[port].get(f"/?token={guard.token}").cookies)

    cookies = "; ".join(f"{name}={value}" for name, value in given.items())
    for port, guard in guards.items():
        fresh = client(guard, f"http://10.0.0.7:{port}")
        assert fresh.get("/", headers={"cookie": cookies}).text == "hello"


def test_a_change_needs_what_a_page_of_the_server_knows():
    guard = Guard.at("127.0.0.1")
    asked, own = client(guard, "http://127.0.0.1:8765"), {CHANGES: guard.changes}

    assert asked.post("/").status_code == 403
    assert asked.post("/", headers={CHANGES: "wrong"}).status_code == 403
    assert asked.post("/", headers={**own, "origin": "http://evil.com"}).status_code == 403
    assert asked.post("/", headers={**own, "origin": "null"}).status_code == 403
    assert asked.post("/", headers={**own, "origin": "http://127.0.0.1:8765"}).text == "hello"


def test_an_origin_that_is_no_address_is_refused():
    guard = Guard.at("127.0.0.1")
    asked = client(guard, "http://127.0.0.1:8765")

    assert asked.post("/", headers={CHANGES: guard.changes, "origin": "http://["}).status_code == 403


def test_a_link_with_a_token_never_leads_to_another_server():
    moved = client(Guard.at("127.0.0.1"), AT).get(f"{AT}//evil.com/?token=x")

    assert (moved.status_code, moved.headers["location"]) == (303, "/evil.com/")


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_of_another_site_may_link_here_but_draws_nothing_in(site: str):
    asked = client(Guard.at("127.0.0.1"), AT)

    drawn = asked.get("/", headers={"sec-fetch-site": site, "sec-fetch-mode": "no-cors"})
    assert (drawn.status_code, "hello" in drawn.text) == (403, False)
    assert asked.get("/", headers={"sec-fetch-site": site, "sec-fetch-mode": "navigate"}).text == "hello"
    assert asked.get("/", headers={"sec-fetch-site": "same-origin", "sec-fetch-mode": "no-cors"}).text == "hello"


def test_every_answer_forbids_scripts_of_others_and_frames():
    asked = client(Guard.at("127.0.0.1"), "http://127.0.0.1:8765")

    for answer in (asked.get("/"), asked.get("/nowhere"), asked.post("/")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
