"""Each fault of the proxy as a client meets it, and that faults are counted and come again with their seed."""

from __future__ import annotations

import http.client
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest
from obstore.exceptions import AlreadyExistsError, BaseError, GenericError

from tests.buckets.faults import Chance, Fault, Kind, Request
from tests.buckets.proxy import Proxy
from tests.buckets.server import Bucket

BODY = bytes(range(256)) * 40


def test_without_faults_the_proxy_is_not_noticed(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    store = shaky.store()
    store.put("a b/ü+%", BODY)
    big = BODY * 1200  # in parts
    store.put("big", big, chunk_size=5 << 20)
    store.copy("big", "copy")
    assert bytes(store.get("a b/ü+%").bytes()) == BODY
    assert bytes(store.get_range("copy", start=7, length=20)) == big[7:27]
    assert store.head("big") == bucket.store().head("big")
    assert shaky.list_keys() == bucket.list_keys() == ["a b/ü+%", "big", "copy"]
    with pytest.raises(AlreadyExistsError):
        store.put("big", b"x", mode="create")
    with pytest.raises(FileNotFoundError):
        store.get("none")
    store.delete(["big", "copy"])
    assert bucket.list_keys() == ["a b/ü+%"]
    assert proxy.struck() == {}
    assert len(proxy.asked("PUT", "big")) == 4  # three parts, and what was there already
    assert [seen.status for seen in proxy.asked("PUT", "a b/ü+%")] == [200]


@pytest.mark.parametrize(
    ("kind", "code"),
    [("500", b"InternalError"), ("503", b"SlowDown"), ("429", b"TooManyRequests"), ("403", b"AccessDenied")],
)
def test_refusals_speak_as_amazon_and_do_nothing(
    shaky: Bucket, proxy: Proxy, bucket: Bucket, kind: Kind, code: bytes
) -> None:
    with proxy.injecting(Fault(kind, times=3)):
        answer = shaky.ask("PUT", "a", body=BODY)
        assert answer.status == int(kind)
        assert b"<Code>%s</Code>" % code in answer.body
        assert shaky.ask("HEAD", "a").status == int(kind)
        with pytest.raises(BaseError):
            shaky.store().put("a", BODY)
    assert bucket.list_keys() == []
    assert proxy.struck() == {kind: 3}


def test_a_reset_comes_before_the_work_and_a_lost_answer_after_it(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    with proxy.injecting(Fault("reset", method="PUT")), pytest.raises(ConnectionResetError):
        shaky.ask("PUT", "a", body=BODY)
    assert bucket.list_keys() == []

    with proxy.injecting(Fault("lost", method="PUT")), pytest.raises(ConnectionResetError):
        shaky.ask("PUT", "a", body=BODY)
    assert bytes(bucket.store().get("a").bytes()) == BODY
    assert [(seen.fault, seen.status) for seen in proxy.asked("PUT")] == [("reset", None), ("lost", 200)]


def test_who_tries_a_lost_conditional_put_again_meets_himself(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    with proxy.injecting(Fault("lost", method="PUT")):
        with pytest.raises(GenericError):
            shaky.store().put("commit", b"mine", mode="create")
        with pytest.raises(AlreadyExistsError):
            shaky.store().put("commit", b"mine", mode="create")
    assert bytes(bucket.store().get("commit").bytes()) == b"mine"


def test_a_late_refusal_comes_after_the_work_and_whoever_tries_again_meets_himself(
    shaky: Bucket, proxy: Proxy, bucket: Bucket
) -> None:
    with proxy.injecting(Fault("late", method="PUT")):
        assert shaky.ask("PUT", "a", headers={"If-None-Match": "*"}, body=b"mine").status == 500
        assert shaky.ask("PUT", "a", headers={"If-None-Match": "*"}, body=b"mine").status == 412
    assert bytes(bucket.store().get("a").bytes()) == b"mine"
    assert [(seen.fault, seen.status, seen.condition) for seen in proxy.asked()] == [
        ("late", 200, "If-None-Match: *"),
        (None, 412, "If-None-Match: *"),
    ]


def test_a_refusal_of_a_big_body_is_heard_whole(shaky: Bucket) -> None:
    """The server refuses while it is still being told, and hangs up; the proxy has the body, and hears it out."""
    big = b"x" * (12 << 20)
    shaky.store().put("big", big)
    assert [shaky.ask("PUT", "big", headers={"If-None-Match": "*"}, body=big).status for _ in range(5)] == [412] * 5


def test_other_changes_are_done_though_their_answers_are_lost(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    bucket.store().put("a", BODY)
    with proxy.injecting(Fault("lost", times=2)):
        with pytest.raises(GenericError):
            shaky.store().copy("a", "b")
        with pytest.raises(BaseError):
            shaky.store().delete("a")
    assert bucket.list_keys() == ["b"]


def test_a_cut_body_is_shorter_than_it_says(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    bucket.store().put("a", BODY)
    with proxy.injecting(Fault("cut", times=2)):
        with pytest.raises(http.client.IncompleteRead) as caught:
            shaky.ask("GET", "a")
        with pytest.raises(BaseError):
            shaky.store().get("a").bytes()
    assert len(caught.value.partial) == len(BODY) // 2


def test_a_short_body_says_so_and_no_client_notices_by_itself(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    bucket.store().put("a", BODY)
    with proxy.injecting(Fault("short", times=2)):
        answer = shaky.ask("GET", "a")
        assert (answer.status, answer.body) == (200, BODY[: len(BODY) // 2])
        assert bytes(shaky.store().get("a").bytes()) == BODY[: len(BODY) // 2]


def test_another_body_of_the_same_length(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    etag = bucket.store().put("a", BODY)["e_tag"]
    with proxy.injecting(Fault("html")):
        got = shaky.store().get("a")
        assert got.meta["e_tag"] == etag
        assert bytes(got.bytes()).startswith(b"<html> ")


def test_a_body_drips(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    bucket.store().put("a", BODY)
    bucket.store().put("small", b"123456")
    with proxy.injecting(Fault("drip", times=2)):
        with pytest.raises(TimeoutError):
            _within(lambda: shaky.ask("GET", "a"), seconds=0.5)
        assert shaky.ask("GET", "small").body == b"123456"


def test_no_answer_and_a_slow_one(shaky: Bucket, proxy: Proxy, bucket: Bucket) -> None:
    with proxy.injecting(Fault("dead", method="PUT")), pytest.raises(TimeoutError):
        shaky.ask("PUT", "a", body=BODY, timeout_s=0.2)
    assert bucket.list_keys() == []

    proxy.slow_s = 0.3
    with proxy.injecting(Fault("slow")):
        with pytest.raises(TimeoutError):
            shaky.ask("PUT", "a", body=BODY, timeout_s=0.1)
        assert shaky.ask("GET", "a").status in (200, 404)


def test_latency_is_added_to_every_answer(shaky: Bucket, proxy: Proxy) -> None:
    proxy.latency_s = 0.2
    with pytest.raises(TimeoutError):
        shaky.ask("PUT", "a", body=BODY, timeout_s=0.1)
    assert shaky.ask("PUT", "a", body=BODY).status == 200
    assert proxy.struck() == {}


def test_a_stale_listing_is_the_one_before(shaky: Bucket, proxy: Proxy) -> None:
    store = shaky.store()
    with proxy.injecting(Fault("stale")):
        assert shaky.list_keys() == []  # asked for the first time: there is no older answer
        store.put("a", b"x")
        assert shaky.list_keys() == []
        assert shaky.list_keys() == ["a"]
        store.put("d/b", b"x")
        assert shaky.list_keys("d") == ["d/b"]  # another question
    assert proxy.struck() == {"stale": 1}
    assert bytes(store.get("a").bytes()) == b"x"


def test_a_fault_meets_the_method_and_the_key_that_it_names(shaky: Bucket, proxy: Proxy) -> None:
    with proxy.injecting(Fault("503", times=9, method="PUT", path="_delta_log"), Fault("404", times=9, path="hidden")):
        assert shaky.ask("PUT", "t/_delta_log/0.json", body=b"x").status == 503
        assert shaky.ask("PUT", "t/part-0", body=b"x").status == 200
        assert shaky.ask("GET", "t/_delta_log/0.json").status == 404
        assert shaky.ask("GET", "hidden").status == 404
    assert [(seen.method, seen.key, seen.fault) for seen in proxy.asked() if seen.fault] == [
        ("PUT", "t/_delta_log/0.json", "503"),
        ("GET", "hidden", "404"),
    ]
    assert shaky.ask("PUT", "t/_delta_log/0.json", body=b"x").status == 200


KINDS: tuple[Kind, ...] = ("500", "503", "429", "reset", "lost", "cut", "short", "stale")


def _ask_many(shaky: Bucket, keys: list[str], *, threads: int) -> None:
    def one(key: str) -> None:
        for method in ("PUT", "GET", "HEAD"):
            try:
                shaky.ask(method, key, body=BODY if method == "PUT" else b"")
            except (OSError, http.client.HTTPException):
                pass

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(one, keys))


def test_lots_come_again_with_their_seed_in_any_order(shaky: Bucket, proxy: Proxy) -> None:
    keys = [f"k{number}" for number in range(100)]
    met = []
    for order, threads, seed in [(keys, 1, 7), (keys[::-1], 8, 7), (keys, 1, 8)]:
        proxy.forget()
        with proxy.injecting(Chance(KINDS, rate=0.2, seed=seed)):
            _ask_many(shaky, order, threads=threads)
        met.append(sorted((seen.key, seen.method, seen.fault) for seen in proxy.asked() if seen.fault))
    assert met[0] == met[1]
    assert met[0] != met[2]
    for each in met:
        assert 35 <= len(each) <= 85  # of 300 requests a fifth
        assert {kind for _, _, kind in each} == set(KINDS) - {"stale"}
        assert {method for _, method, kind in each if kind in ("cut", "short")} == {"GET"}
        assert {method for _, method, kind in each if kind == "lost"} == {"PUT"}


def test_a_request_that_is_tried_again_meets_another_lot() -> None:
    chance = Chance(("503",), rate=0.2, seed=1)
    lots = [[chance.draw(Request("PUT", f"k{key}", nth=nth)) for nth in range(1, 9)] for key in range(1000)]
    first = Counter(row[0] for row in lots)
    twice = sum(row[0] == row[1] == "503" for row in lots)
    assert 150 <= first["503"] <= 250
    assert 20 <= twice <= 65
    assert not any(all(row) for row in lots)


def test_lots_keep_to_method_and_key() -> None:
    chance = Chance(("503",), rate=1.0, seed=1, method="PUT|POST", key=r"\.json$")
    assert chance.draw(Request("PUT", "a.json")) == "503"
    assert chance.draw(Request("POST", "a.json")) == "503"
    assert chance.draw(Request("GET", "a.json")) is None
    assert chance.draw(Request("PUT", "a.json.tmp")) is None


def test_five_hundred_operations_through_a_fifth_of_faults_with_retries(
    shaky: Bucket, proxy: Proxy, bucket: Bucket
) -> None:
    """What the tests of the storage seam do: obstore tries again, and the bytes are compared."""
    from datetime import timedelta

    from obstore.store import S3Store

    store = S3Store(
        shaky.name,
        endpoint=shaky.endpoint,
        access_key_id=shaky.keys.access,
        secret_access_key=shaky.keys.secret,
        region=shaky.keys.region,
        client_options={"allow_http": True},
        retry_config={
            "max_retries": 10,
            "retry_timeout": timedelta(seconds=30),
            "backoff": {
                "init_backoff": timedelta(milliseconds=2),
                "max_backoff": timedelta(milliseconds=20),
                "base": 2,
            },
        },
    )
    with proxy.injecting(Chance(("500", "503", "429", "reset", "lost"), rate=0.2, seed=3)):
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda number: store.put(f"k{number}", b"%d" % number), range(250)))
            got = list(pool.map(lambda number: bytes(store.get(f"k{number}").bytes()), range(250)))
    assert got == [b"%d" % number for number in range(250)]
    assert sum(proxy.struck().values()) >= 80
    assert len(bucket.list_keys()) == 250


def _within(act: Callable[[], object], *, seconds: float) -> None:
    """Raise TimeoutError where `act` takes longer; it goes on in a thread of its own."""
    done = threading.Event()

    def run() -> None:
        try:
            act()
        except (OSError, http.client.HTTPException):
            pass  # the proxy ended in the meantime
        done.set()

    threading.Thread(target=run, daemon=True).start()
    if not done.wait(seconds):
        raise TimeoutError


def test_a_proxy_that_ended_holds_nobody(bucket: Bucket) -> None:
    from tests.buckets.proxy import standing_before

    with standing_before(bucket.endpoint) as proxy:
        shaky = bucket.through(proxy.endpoint)
        proxy.faults.append(Fault("dead"))
        waiting = threading.Thread(target=_ignoring, args=(lambda: shaky.ask("GET", "a"),), daemon=True)
        waiting.start()
        while not proxy.seen:
            time.sleep(0.01)
    waiting.join(5)
    assert not waiting.is_alive()


def _ignoring(act: Callable[[], object]) -> None:
    try:
        act()
    except (OSError, http.client.HTTPException):
        pass
