"""The pages in a real browser: everything that a visitor does, from the gallery to a language model that takes 5 s."""

import csv
import re
import time

import pytest
from app.browser import FLAGS, HARMLESS, chromium, plugin, served
from playwright.sync_api import expect, sync_playwright
from servers import Answer, Server, completion, obliging

from agentmicro import phenomena
from agentmicro.app.configuration import Configuration, read
from agentmicro.study.scenario import load

BROKEN = '''"""Broken: a rule that raises on its third turn.

Kind: micro.
Risk: none.
"""

from agentmicro.phenomena import voter


class Broken(voter.Voter):
    """A voter that breaks."""

    def unfold(self) -> None:
        """Raises on the third turn."""
        if self.time >= 3:
            raise RuntimeError("<b>the rule</b> is broken")
'''
SCRIPT = "<script>window.hacked = 1</script><img src=x onerror='window.hacked = 1'> [link](javascript:alert(1)) "
SLOW = 5.0  # seconds that the slow model takes


def says(body):
    """The model of each test: a slow one, a hostile one, and one that obliges."""
    if "hostile" in body["model"]:
        return Answer(body=completion(SCRIPT + "x" * 1_000_000, model="hostile"))
    if "slow" in body["model"]:
        return Answer(body=completion(obliging(body), model="slow"), wait=SLOW)
    return obliging(body)


@pytest.fixture(scope="module")
def models():
    with Server(answer=says) as server:
        yield server


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("app")


@pytest.fixture(scope="module")
def app(models, folder):
    plugin(folder, "broken", BROKEN)
    keys = {"OPENAI_API_KEY": "not-a-key", "OPENAI_BASE_URL": models.url, "PYTHONPATH": str(folder)}
    with served(folder, **keys) as address:
        yield address


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=chromium(), args=list(FLAGS))
        yield found
        found.close()


@pytest.fixture
def visit(app, browser):
    """Opens pages, and checks at the end that none of them logged an error."""
    problems, tabs = [], []

    def go(path, **options):
        context = browser.new_context(viewport={"width": 1280, "height": 900}, **options)
        tabs.append(context)
        tab = context.new_page()
        tab.set_default_timeout(20_000)
        tab.on("console", lambda message: problems.append(message.text) if message.type == "error" else None)
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.goto(app + path)
        return tab

    yield go
    for context in tabs:
        context.close()
    assert [text for text in problems if not any(known in text for known in HARMLESS)] == []


def button(tab, name):
    return tab.get_by_role("button", name=name, exact=True)


def clock(tab):
    return float(re.search(r"Time: ([\d.]+) of", tab.locator(".am-clock").inner_text())[1])


def at(tab, time):
    expect(tab.locator(".am-clock")).to_contain_text(f"Time: {time} of", timeout=20_000)


def shown(tab):
    """The number that each chart shows now, by its measure."""
    found = tab.locator(".am-chart").all()
    return {chart.locator(".name").text_content(): chart.locator(".value").text_content() for chart in found}


def headless(model, turns):
    """The last measures of a run, written as the page writes them."""
    for _ in range(turns):
        model.step()
    last = model.datacollector.get_model_vars_dataframe().iloc[-1]
    return {name.replace("_", " "): "–" if last[name] != last[name] else f"{last[name]:.4g}" for name in model.measures}


def agrees(tab, numbers):
    """The charts come to show these numbers; the clock may be drawn a moment before them."""
    end = time.monotonic() + 5
    while shown(tab) != numbers and time.monotonic() < end:
        time.sleep(0.05)
    assert shown(tab) == numbers


def put(tab, label, text):
    field = tab.get_by_label(label, exact=True)
    field.fill(text)
    field.press("Tab")


def allow(tab):
    button(tab, "Allow up to this ceiling").click()
    expect(tab.locator(".am-spent")).to_be_visible()


def test_from_the_gallery_to_a_running_model(visit):
    tab = visit("/")
    tab.locator(".am-tile", has_text="Herding").first.click()
    at(tab, 0)
    tab.wait_for_selector("canvas")
    button(tab, "Step").click()
    at(tab, 1)


def test_keys_step_and_play_and_reset(visit):
    tab = visit("/run?run=voter&turns=6&k.agents=20")
    at(tab, 0)
    tab.keyboard.press("ArrowRight")
    at(tab, 1)
    tab.keyboard.press("End")
    at(tab, 6)
    expect(tab.locator(".am-status")).to_have_text("finished")
    tab.keyboard.press("r")
    at(tab, 0)


@pytest.mark.parametrize("name", phenomena.names())
def test_every_phenomenon_opens_plays_twenty_turns_and_resets(visit, name):
    tab = visit(f"/run?run={name}&turns=20")
    at(tab, 0)
    first = shown(tab)
    button(tab, "Play").click()
    at(tab, 20)
    expect(tab.locator(".am-status")).to_have_text("finished")
    agrees(tab, headless(Configuration(name).build()[0], 20))
    button(tab, "Reset").click()
    at(tab, 0)
    agrees(tab, first)


def test_an_agent_that_is_clicked_tells_what_it_saw_and_whom_it_followed(visit):
    tab = visit("/run?run=voter&k.agents=9&k.graph=ring&turns=5")
    at(tab, 0)
    for turn in (1, 2):
        button(tab, "Step").click()
        at(tab, turn)
    click_agent(tab)
    panel = tab.locator(".am-inspector")
    expect(panel).to_contain_text("decision 2 of 2")
    expect(panel.locator(".am-did")).to_contain_text("at time 2")
    expect(panel).to_contain_text("Why?")
    button(panel, "earlier").click()
    expect(panel.locator(".am-did")).to_contain_text("at time 1")
    button(panel, "close").click()
    expect(panel).to_have_count(0)


def test_two_runs_differ_in_one_condition_and_their_difference_is_that_of_the_runs(visit):
    tab = visit("/compare?run=herding&turns=5&k.agents=20&seed=3&o.order=fixed")
    at(tab, 0)
    for turn in (1, 2):
        button(tab, "Step").click()
        at(tab, turn)
    asked = read("run=herding&turns=5&k.agents=20&seed=3&o.order=fixed")
    models = [asked.build()[0], asked.build(other=True)[0]]
    for model in models:
        for _ in range(2):
            model.step()
    lasts = [model.datacollector.get_model_vars_dataframe().iloc[-1] for model in models]
    expect(tab.locator(".am-chart .value").first).not_to_have_text("–")
    deltas = {name[2:]: value for name, value in shown(tab).items() if name.startswith("Δ")}
    expected = {name.replace("_", " "): lasts[1][name] - lasts[0][name] for name in models[0].measures}
    assert deltas == {name: "–" if value != value else f"{value:.4g}" for name, value in expected.items()}
    assert any(value not in ("0", "–") for value in deltas.values())


def test_from_a_run_to_its_comparison(visit):
    tab = visit("/run?run=voter&seed=4&k.agents=30&turns=8")
    at(tab, 0)
    tab.get_by_text("Compare with one condition changed").click()
    expect(tab.locator("h1")).to_have_text("One condition changed")
    at(tab, 0)
    expect(tab.locator("canvas")).to_have_count(2)


def test_a_deep_link_is_the_run_and_what_is_copied_gives_its_numbers(visit, tmp_path):
    query = "run=herding&seed=7&turns=6&k.agents=24&k.order=shuffled&3.order=fixed"
    tab = visit(f"/run?{query}")
    at(tab, 0)
    button(tab, "Play").click()
    at(tab, 6)
    agrees(tab, headless(read(query).build()[0], 6))
    tab.get_by_text("Take this run along").click()
    link, scenario, script = (part.inner_text() for part in tab.locator(".am-copy pre").all())
    assert read(link.partition("?")[2]) == read(query)
    path = tmp_path / "copied.toml"
    path.write_text(scenario)
    copied = load(str(path))
    model = copied.cls(**copied.cls.checked(copied.micro), rng=7)
    for at_time, knobs in copied.intervene["as changed"].steps:
        model.intervene(at_time, **knobs)
    agrees(tab, headless(model, copied.turns))
    assert script.strip() == read(query).script().strip()


def test_numbers_and_charts_are_saved_to_the_last_digit(visit, tmp_path):
    tab = visit("/run?run=voter&seed=2&k.agents=25&turns=4")
    at(tab, 0)
    button(tab, "Play").click()
    at(tab, 4)
    with tab.expect_download() as saved:
        tab.get_by_text("Numbers (CSV)").click()
    saved.value.save_as(tmp_path / "voter.csv")
    with (tmp_path / "voter.csv").open() as file:
        rows = list(csv.DictReader(file))
    model = Configuration("voter", {"agents": 25}, 2, 4).build()[0]
    for _ in range(4):
        model.step()
    frame = model.datacollector.get_model_vars_dataframe()
    assert [float(row["turn"]) for row in rows] == [0, 1, 2, 3, 4]
    for name in model.measures:
        assert [row[name] for row in rows] == [repr(float(value)) for value in frame[name]]
    with tab.expect_download() as saved:
        tab.get_by_text("Charts (SVG)").click()
    saved.value.save_as(tmp_path / "voter.svg")
    assert (tmp_path / "voter.svg").read_text().count("<polyline") >= len(model.measures)
    with tab.expect_download() as saved:
        button(tab, "PNG").click()
    saved.value.save_as(tmp_path / "agents.png")
    assert (tmp_path / "agents.png").read_bytes().startswith(b"\x89PNG")


def test_two_tabs_do_not_share_a_model(visit):
    one, other = visit("/run?run=voter&turns=9"), visit("/run?run=voter&turns=9")
    at(one, 0)
    at(other, 0)
    for turn in (1, 2, 3):
        button(one, "Step").click()
        at(one, turn)
    button(other, "Step").click()
    at(other, 1)
    assert clock(one) == 3


def test_a_condition_that_acts_at_once_is_marked_and_one_that_does_not_says_so(visit):
    tab = visit("/run?run=channels&turns=9&k.agents=20")
    at(tab, 0)
    button(tab, "Step").click()
    at(tab, 1)
    put(tab, "seed", "5")
    expect(tab.get_by_text("What you changed needs a new run.")).to_be_visible()
    put(tab, "seed", "1")
    put(tab, "latency", "2")
    expect(tab.locator(".am-chart .mark").first).to_be_attached()
    button(tab, "Step").click()
    at(tab, 2)
    assert clock(tab) == 2


def test_a_rule_that_raises_shows_its_error_and_the_page_lives_on(visit):
    tab = visit("/run?run=broken&turns=9")
    at(tab, 0)
    button(tab, "Play").click()
    expect(tab.get_by_text("RuntimeError: <b>the rule</b> is broken")).to_be_visible()
    assert clock(tab) == 2
    button(tab, "Reset").click()
    at(tab, 0)
    button(tab, "Step").click()
    at(tab, 1)


def test_a_link_that_cannot_be_says_what_is_wrong(visit):
    tab = visit("/run?run=votre")
    expect(tab.get_by_text("no phenomenon 'votre'; did you mean 'voter'")).to_be_visible()
    tab = visit("/run?run=voter&k.graph=/etc/passwd.csv")
    expect(tab.get_by_text("the app reads no files")).to_be_visible()


def test_studies_that_are_not_there_say_how_to_make_one(visit):
    tab = visit("/studies")
    expect(tab.get_by_text("agentmicro study herding --out herding-study")).to_be_visible()
    tab = visit("/studies?open=../../etc")
    expect(tab.get_by_text("There is no study '../../etc'")).to_be_visible()


def test_a_link_alone_asks_nobody(visit, models):
    before = models.seen.calls
    tab = visit("/run?run=channels&k.agents=4&k.minds=openai/quick&turns=3")
    at(tab, 0)
    expect(tab.get_by_text("This run asks language models")).to_be_visible()
    button(tab, "Play").click()
    expect(tab.locator(".am-status").first).to_have_text("held")
    assert (clock(tab), models.seen.calls) == (0, before)
    allow(tab)
    button(tab, "Play").click()
    at(tab, 3)
    expect(tab.locator(".am-spent")).to_contain_text("12 calls")
    assert models.seen.calls == before + 12


def test_a_ceiling_ends_the_run_between_calls_and_a_higher_one_goes_on(visit, models):
    tab = visit("/run?run=channels&k.agents=6&k.minds=openai/ceiling&turns=2")
    before = models.seen.calls
    put(tab, "ceiling, calls", "8")
    allow(tab)
    button(tab, "Play").click()
    expect(tab.get_by_text("The ceiling of this page is reached (8 of 8 calls)")).to_be_visible()
    assert (clock(tab), models.seen.calls) == (1, before + 8)
    button(tab, "Change the ceiling").click()
    put(tab, "ceiling, calls", "50")
    allow(tab)
    button(tab, "Play").click()
    at(tab, 2)
    assert models.seen.calls == before + 12


def test_a_slow_model_never_makes_the_page_wait_nor_the_clock_skip(visit, models):
    tab = visit("/run?run=channels&k.agents=3&k.minds=openai/slow&turns=9")
    allow(tab)
    button(tab, "Play").click()
    expect(tab.locator(".am-spent + .am-status")).to_contain_text("calls in flight")
    seen, waits = [clock(tab)], []
    for name in ("Pause", "Play") * 4:
        start = time.monotonic()
        button(tab, name).click()
        button(tab, "Play" if name == "Pause" else "Pause").wait_for()
        waits.append(time.monotonic() - start)
        seen.append(clock(tab))
    button(tab, "Pause").click()
    expect(tab.get_by_text("paused, no new calls are begun").or_(tab.locator(".am-ready"))).to_be_visible()
    assert sorted(waits)[len(waits) // 2] < 0.5, waits
    at(tab, 1)
    assert max(seen) <= 1
    time.sleep(1)
    assert clock(tab) == 1


def test_a_turn_that_is_cancelled_is_taken_back_within_a_second(visit, models):
    tab = visit("/run?run=channels&k.agents=3&k.minds=openai/slow-cancelled&turns=9")
    allow(tab)
    button(tab, "Step").click()
    expect(tab.get_by_text("3 calls in flight")).to_be_visible()
    start = time.monotonic()
    button(tab, "Cancel turn").click()
    expect(tab.locator(".am-ready")).to_be_visible(timeout=3_000)
    assert (time.monotonic() - start < 2, clock(tab)) == (True, 0)


def test_a_tab_that_is_closed_leaves_nothing_asking(visit, models):
    tab = visit("/run?run=channels&k.agents=4&k.minds=openai/slow-closed&turns=9")
    allow(tab)
    button(tab, "Play").click()
    expect(tab.get_by_text("4 calls in flight")).to_be_visible()
    calls = models.seen.calls
    tab.close(run_before_unload=True)
    end = time.monotonic() + 10
    while models.seen.in_flight and time.monotonic() < end:
        time.sleep(0.1)
    time.sleep(SLOW + 1)
    assert models.seen.calls == calls


def test_hostile_text_is_shown_as_text(visit):
    tab = visit("/run?run=channels&k.agents=2&k.graph=complete&k.minds=openai/hostile&turns=2")
    put(tab, "ceiling, calls", "50")
    allow(tab)
    button(tab, "Step").click()
    at(tab, 1)
    expect(tab.get_by_text("of the decisions failed")).to_be_visible()
    click_agent(tab)
    said = tab.locator(".am-inspector .am-text").last
    expect(said).to_contain_text("<script>window.hacked = 1</script>")
    assert len(said.inner_text()) < 10_000
    tab.get_by_role("button", name=re.compile("show all 1,000,")).click()
    expect(button(tab, "show less")).to_be_visible()
    expect(said).to_contain_text("[link](javascript:alert(1))")
    assert len(said.inner_text()) > 1_000_000
    assert tab.evaluate("window.hacked") is None


def test_a_record_is_replayed_without_a_key(models, folder, browser, visit):
    path = "/run?run=channels&k.agents=4&k.minds=openai/replayed&turns=2"
    tab = visit(path)
    allow(tab)
    button(tab, "Play").click()
    at(tab, 2)
    numbers, calls = shown(tab), models.seen.calls
    with served(folder, "--mode", "replay", PYTHONPATH=str(folder)) as address:
        tab.goto(address + path)
        expect(tab.get_by_text("nobody is called and nothing is paid")).to_be_visible()
        button(tab, "Play").click()
        at(tab, 2)
        agrees(tab, numbers)
        assert models.seen.calls == calls


def click_agent(tab):
    """Clicks over the stage until an agent is hit."""
    canvas = tab.locator("canvas")
    box = canvas.bounding_box()
    for x in range(1, 30):
        for y in range(1, 20):
            if tab.locator(".am-inspector").count():
                return
            canvas.click(position={"x": x * box["width"] / 30, "y": y * box["height"] / 20}, force=True)
    raise AssertionError("no agent could be clicked")
