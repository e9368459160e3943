"""The parts of the benchmark that need no server: wrk's output, the check of answers, the tables, the targets."""

import dataclasses
import json
import sys
from datetime import date

import pytest
from bench.scenarios import HELLO, ITEM, SCENARIOS
from bench.servers import APPS, ROOT, SERVERS, Launch

from bench import answers, load, measure, peers, processes, report, start, targets

BY_NAME = {scenario.name: scenario for scenario in SCENARIOS}
PLAN = measure.Plan(seconds=4, rounds=3, server_core=1, load_core=0, wrk="wrk")


def row(server, *cpu_us, version="1.0", failure=None, errors=0, omits=frozenset(), others=0.0, **figures):
    defaults = {"per_second": 6000.0, "p99_ms": 2.5, "rss_mib": 20.0}
    samples = [
        measure.Sample(cpu_us=cpu, errors=errors, others=others, **{**defaults, **figures})
        for cpu in map(float, cpu_us)
    ]
    return measure.Row(server, version, samples, failure, omits)


# --- wrk -------------------------------------------------------------------------------------------------------------

WRK_OUTPUT = """Running 1s test @ http://127.0.0.1:8773/
  1 threads and 2 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   452.32us  263.67us   6.19ms   94.51%
  100 requests in 1.00s, 10.32MB read

result {"requests": 100, "microseconds": 1000000, "latencies": [[300,60],[500,39],[9000,1]], \
"errors": {"connect": 0, "read": 2, "write": 0, "timeout": 1, "status": 4}}
"""


def test_wrk_output_is_read_to_the_microsecond():
    result = load.parse(WRK_OUTPUT, "", connections=2)
    assert (result.requests, result.seconds) == (100, 1.0)
    assert [result.percentile_ms(percent) for percent in (50, 99, 100)] == [0.3, 0.5, 9.0]
    assert result.error_count == 7


@pytest.mark.parametrize(
    ("stdout", "stderr", "said"),
    [("", "unable to connect to 127.0.0.1:1 Connection refused\n", "Connection refused"), ("", "", "nothing")],
)
def test_wrk_that_fails_is_reported_in_its_own_words(stdout, stderr, said):
    with pytest.raises(load.LoadFailed, match=said):
        load.parse(stdout, stderr, connections=64)


def test_an_idle_window_has_no_latency():
    nothing = {"requests": 0, "microseconds": 1000000, "latencies": [], "errors": {"timeout": 0}}
    result = load.parse(f"result {json.dumps(nothing)}", "", connections=64)
    assert result.percentile_ms(99) == 0


def corrected_as_wrk_does(latencies, interval):
    """wrk's stats_correct, line by line; from the shortest latency that it saw, which is all that it lists."""
    data = dict(latencies)
    for n in range(interval * 2, max(data) + 1):
        count, m = data.get(n, 0), n - interval
        while count and m > interval:
            data[m] = data.get(m, 0) + count
            m -= interval
    return {latency: count for latency, count in data.items() if latency >= min(latencies)}


@pytest.mark.parametrize(
    ("latencies", "interval"),
    [
        ({400: 1000, 450: 300}, 1000),
        ({1500: 1000, 1700: 300, 100_000: 7, 100_400: 2, 250_000: 1}, 1600),
        ({90: 10, 170: 1, 250: 3, 260: 1, 340: 2}, 80),
        ({600: 100, 900: 5}, 58),
    ],
)
def test_the_correction_for_coordinated_omission_is_taken_back(latencies, interval):
    corrected = corrected_as_wrk_does(latencies, interval)
    assert load.as_measured(corrected, interval) == latencies


def test_wrk_is_pinned_and_sends_the_scenarios_headers():
    command = load.wrk_command(BY_NAME["json"], 8080, seconds=4, core=0)
    assert command[:3] == ["taskset", "-c", "0"]
    assert command.count("--header") == 8
    assert command[-5:] == ["http://127.0.0.1:8080/items/42", "--", "1", "0", ""]


# --- answers ---------------------------------------------------------------------------------------------------------

GOOD = b"HTTP/1.1 200 OK\r\nDate: x\r\ncontent-type: text/plain; charset=utf-8\r\nContent-Length: 13\r\n\r\n" + HELLO


def test_pipelined_answers_are_taken_apart():
    first, rest = answers.parse_answer(GOOD + GOOD[:40])
    assert (first.status, first.body, rest) == (200, HELLO, GOOD[:40])
    assert answers.parse_answer(rest) is None


@pytest.mark.parametrize("size", range(0, len(GOOD), 7))
def test_a_part_of_an_answer_is_no_answer(size):
    assert answers.parse_answer(GOOD[:size]) is None


def test_a_good_answer_passes():
    answer, _ = answers.parse_answer(GOOD)
    answers.verify(answer, BY_NAME["hello"], frozenset())


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (b"200 OK", b"500 Oh", "status 500"),
        (b"Date", b"Dat", "answered without date"),
        (b"text/plain", b"text/html", "media type text/html"),
        (b"World", b"Earth", "body"),
    ],
)
def test_a_wrong_answer_is_told_from_a_right_one(before, after, said):
    answer, _ = answers.parse_answer(GOOD.replace(before, after))
    with pytest.raises(answers.WrongAnswer, match=said):
        answers.verify(answer, BY_NAME["hello"], frozenset())


def test_a_known_lack_is_allowed():
    answer, _ = answers.parse_answer(GOOD.replace(b"Date", b"Dat"))
    answers.verify(answer, BY_NAME["hello"], frozenset({"date"}))


@pytest.mark.parametrize("data", [b"HTTP/1.1\r\nContent-Length: 1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\nhello"])
def test_what_is_no_answer_is_wrong(data):
    with pytest.raises(answers.WrongAnswer):
        answers.parse_answer(data)


@pytest.mark.parametrize(
    ("body", "same"),
    [(json.dumps(json.loads(ITEM), indent=2).encode(), True), (b'{"id": 42}', False), (b"<html>", False)],
)
def test_json_is_compared_by_value(body, same):
    assert answers.same_body(body, BY_NAME["json"]) is same


# --- the report ------------------------------------------------------------------------------------------------------


def test_a_table_has_the_cheapest_first_and_the_ratio_to_firstbyte():
    rows = [row("firstbyte", 13, 12, 14), row("uvicorn", 26, 25, 30), row("nginx", 10.5, 10.4, 10.6)]
    text = report.table(sorted(rows, key=lambda one: one.median("cpu_us")))
    assert text.splitlines()[2:] == [
        "| nginx         | 1.0     | 10.5 (10.4–10.6) |      6,000 |   2.50 |      20 |        0.81 |",
        "| **firstbyte** | 1.0     | 13.0 (12.0–14.0) |      6,000 |   2.50 |      20 |        1.00 |",
        "| uvicorn       | 1.0     | 26.0 (25.0–30.0) |      6,000 |   2.50 |      20 |        2.00 |",
    ]


def test_without_firstbyte_there_is_no_ratio():
    assert report.table([row("nginx", 10)]).endswith("|           – |")


def test_a_row_with_errors_is_marked_and_explained():
    text = report.section(BY_NAME["hello"], [row("firstbyte", 13), row("waitress", 150, 151, errors=3)])
    assert "| waitress ⚠ " in text
    assert "waitress: 6 errors" in text


def test_what_failed_is_left_out_with_its_last_words():
    failed = row("bjoern", failure="did not come up, ended with status 1\nOSError: in use")
    text = report.section(BY_NAME["hello"], [row("firstbyte", 13), failed])
    assert "- bjoern left out: did not come up, ended with status 1\n      OSError: in use" in text
    assert "| bjoern" not in text


def test_known_lacks_and_noise_are_said():
    remarks = report.notes([row("bjoern", 11, omits=frozenset({"date"})), row("nginx", 10, others=0.25)])
    assert remarks == [
        "bjoern: no Date field in the answers, work that the others do.",
        "Noise: other processes took part of the two cores, in shares of one: nginx 25%.",
    ]


def test_the_document_names_machine_date_and_what_is_missing():
    text = report.document(
        "A CPU, 2 cores", PLAN, [(BY_NAME["hello"], [row("firstbyte", 13)])], {"nginx": "no apt"}, date(2030, 1, 2)
    )
    assert "2030-01-02 · A CPU, 2 cores" in text
    assert "3 interleaved rounds, medians, of 4 s after 1 s to warm up" in text
    assert text.endswith("## Left out\n\n- nginx: no apt")


@pytest.mark.parametrize(("value", "text"), [(7.849, "7.85"), (12.34, "12.3"), (263.4, "263"), (1234.5, "1,234")])
def test_figures_have_three_digits(value, text):
    assert report.significant(value) == text


# --- the targets -----------------------------------------------------------------------------------------------------


def judged(target, *rows):
    (verdict,) = targets.judge({target.scenario: rows}, [target])
    return verdict


@pytest.mark.parametrize(
    ("bound", "ours", "passed"),
    [("<=", 7.0, True), ("<=", 7.1, False), ("<", 7.0, False), ("<", 6.9, True), (">=", 7.0, True), (">=", 6.9, False)],
)
def test_a_target_bounds_the_ratio_of_the_medians(bound, ours, passed):
    target = targets.Target("hello", "cpu_us", "uvicorn", bound, 0.7)
    verdict = judged(target, row("firstbyte", 1, ours, 99), row("uvicorn", 10, 10, 10))
    assert verdict.ratio == pytest.approx(ours / 10)
    assert verdict.passed is passed


def test_a_target_may_be_a_figure_that_holds_on_any_machine():
    target = targets.Target("sleep10", "per_second", 6400.0, ">=", 0.8)
    assert judged(target, row("firstbyte", 70, per_second=5120.0)).passed
    assert not judged(target, row("firstbyte", 70, per_second=5119.0)).passed


@pytest.mark.parametrize(
    ("rows", "reason"),
    [
        ([row("firstbyte", 13)], "uvicorn was not measured"),
        ([row("firstbyte", failure="did not come up"), row("uvicorn", 30)], "firstbyte was not measured"),
        ([row("firstbyte", 13, errors=2), row("uvicorn", 30)], "firstbyte had 2 errors"),
    ],
)
def test_what_was_not_measured_is_not_met(rows, reason):
    verdict = judged(targets.Target("hello", "cpu_us", "uvicorn", "<=", 0.55), *rows)
    assert not verdict.passed
    assert reason in report.target_list([verdict])


def test_targets_of_scenarios_that_were_not_run_are_not_judged():
    assert targets.judge({"none": []}) == []


# --- the tables of scenarios, servers and targets fit together -------------------------------------------------------


def test_names_are_unique():
    for table in (SCENARIOS, SERVERS):
        names = [entry.name for entry in table]
        assert len(names) == len(set(names))


def test_targets_name_scenarios_servers_and_figures_that_there_are():
    figures = {field.name for field in dataclasses.fields(measure.Sample)}
    servers = {server.name: server for server in SERVERS}
    for target in targets.TARGETS:
        assert target.metric in figures & targets.METRICS.keys()
        assert target.bound in targets.BOUNDS
        if isinstance(target.than, str):
            assert servers[target.than].interface in BY_NAME[target.scenario].interfaces


@pytest.mark.parametrize("server", [one for one in SERVERS if one.source == "pip"], ids=lambda one: one.name)
def test_peers_are_required_and_their_applications_are_there(server):
    required = {line.partition(">")[0] for line in peers.REQUIREMENTS.read_text().splitlines()}
    assert {*server.packages, "msgspec"} <= required
    programs = dict.fromkeys(["python", "granian", "uvicorn", "gunicorn", "waitress-serve"], "program")
    command = server.command(Launch(BY_NAME["sleep10"], 8080, programs))
    assert any("8080" in argument for argument in command)
    modules = {argument.removeprefix("bench.apps.").removesuffix(":app") for argument in command}
    assert any((APPS / f"{module}.py").is_file() for module in modules)


def test_the_body_that_a_scenario_sends_is_that_of_the_check_too():
    scenario = BY_NAME["post1k"]
    assert load.wrk_command(scenario, 8080, seconds=4, core=0)[-1] == scenario.sends
    head, _, body = answers.request_bytes(scenario, 8080).partition(b"\r\n\r\n")
    assert head.startswith(b"POST /orders HTTP/1.1\r\n")
    assert body == scenario.sends.encode()
    assert 900 < len(body) < 1100


def test_the_program_that_starts_firstbyte_has_its_routes():
    names = {}
    exec(start.FIRSTBYTE, names)
    assert len(names["app"].routes) == 200
    assert start.cpu_seconds(sys.executable, "pass") > 0


def test_granian_gets_its_threads_only_where_handlers_block():
    granian = next(server for server in SERVERS if server.name == "granian-wsgi")
    commands = {name: granian.command(Launch(BY_NAME[name], 8080, {"granian": "g"})) for name in ("hello", "mixed")}
    assert "--blocking-threads" not in commands["hello"]
    assert "64" in commands["mixed"]


def test_servers_get_no_option_from_the_users_environment():
    passed = processes.environment({"PATH": "/bin", "WEB_CONCURRENCY": "4", "FIRSTBYTE_PURE": "1"})
    assert passed == {"PATH": "/bin", "FIRSTBYTE_PURE": "1"}


def test_what_is_built_is_ignored():
    assert "bench/build/" in (ROOT / ".gitignore").read_text().splitlines()
