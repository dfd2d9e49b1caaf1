"""The status page in headless Chromium, served by a real stats server with canned states."""

import json
import re

import pytest

from chromium import Chromium
from demo import Demo, ROOT

STATES = ["healthy", "failover", "paused", "alarm", "trouble", "nothing", "starting", "many",
          "single", "hostile", "reload_failed", "leaving", "clusters"]

# Every element that shows text of its own: its colour against what lies behind it, WCAG 2.1.
LOW_CONTRAST = """
(() => {
  const channel = (c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  const parse = (text) => {
    const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number);
    return {rgb: [r, g, b], a};
  };
  const luminance = ([r, g, b]) =>
    0.2126 * channel(r / 255) + 0.7152 * channel(g / 255) + 0.0722 * channel(b / 255);
  const behind = (element) => {
    for (let e = element; e; e = e.parentElement) {
      const {rgb, a} = parse(getComputedStyle(e).backgroundColor);
      if (a === 1) return rgb;
    }
    return [255, 255, 255];
  };
  const low = [];
  let looked = 0;
  for (const element of document.querySelectorAll('body *')) {
    const own = [...element.childNodes].some((n) => n.nodeType === 3 && n.data.trim());
    if (!own || !element.checkVisibility() || element instanceof SVGElement) continue;
    looked += 1;
    const ink = luminance(parse(getComputedStyle(element).color).rgb);
    const paper = luminance(behind(element));
    const ratio = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    if (ratio < 4.5) low.push(element.className + ': ' + element.textContent.slice(0, 40) +
                              ' ' + ratio.toFixed(2));
  }
  return {low, looked};
})()
"""


def is_red(page, expression, name="bad"):
    """Whether anything in the element has the colour of trouble, as text, border or fill."""
    return page.js(f"""
      (() => {{
        const root = {expression};
        const probe = document.createElement('i');
        document.body.append(probe);
        const colours = ['--{name}', '--{name}-line', '--{name}-soft'].map((name) => {{
          probe.style.setProperty('color', 'var(' + name + ')');
          return getComputedStyle(probe).color;
        }});
        probe.remove();
        const shown = ['color', 'fill', 'stroke', 'borderTopColor', 'backgroundColor'];
        return [root, ...root.querySelectorAll('*')].some((element) =>
          shown.some((name) => colours.includes(getComputedStyle(element)[name])));
      }})()""")


def test_names_the_primary_and_every_node(page):
    page.show("healthy")
    assert page.text("h1") == ["pg-1 is the primary"]
    assert page.text(".node h3") == ["pg-1", "pg-2", "pg-3"]
    assert page.text(".node .chip") == ["primary", "sync replica", "replica"]
    assert page.text(".eyebrow") == ["Cluster orders"]
    assert "timeline 7" in page.text(".sub")[0]
    assert "for 3 d 4 h" in page.text(".sub")[0]


def test_says_in_a_sentence_why_each_listener_uses_a_node_or_not(page):
    page.show("healthy")
    verdicts = page.text('.node[data-key="pg-2"] .verdict')
    assert len(verdicts) == 2
    assert "read_write not used" in verdicts[0] and "It is a replica" in verdicts[0]
    assert "read_only serves" in verdicts[1]


def test_a_healthy_replica_is_not_red(page):
    page.show("healthy")
    assert not is_red(page, page.card("pg-2"))
    page.show("trouble")
    assert is_red(page, page.card("pg-2")), "the check itself would notice red"


def test_failed_checks_show_in_form_and_in_words(page):
    page.show("healthy")
    checks = page.card("pg-3") + ".querySelector('.checks')"
    assert page.js(checks + ".getAttribute('aria-label')") == "Last 64 checks: 2 failed"
    heights = page.js(f"""[...{checks}.querySelectorAll('rect')]
        .map((bar) => [bar.getAttribute('class'), bar.getAttribute('height')].join(' '))""")
    assert len(heights) == 64
    assert heights.count("failed 7") == 2 and heights.count("passed 16") == 62
    assert heights[64 - 1 - 17] == "failed 7", "oldest on the left"


def test_goes_on_without_a_reload(page):
    page.show("healthy")
    page.js("window.stillTheSamePage = true")
    total = "document.querySelector('.listener td[title]').title"
    before = page.js(total)
    page.wait_for(f"{total} !== {json.dumps(before)}", "the total to rise")
    page.demo.show("failover")
    page.wait_until("failover")
    assert page.text("h1") == ["There is no primary"]
    assert page.js("window.stillTheSamePage")
    page.demo.show("healthy")
    page.wait_for("document.querySelector('h1').innerText === 'pg-1 is the primary'", "the primary")


def test_opened_details_and_focus_survive_a_refresh(page):
    page.show("healthy")
    page.js(page.card("pg-2") + ".querySelector('details').open = true")
    page.js(page.card("pg-2") + ".querySelector('summary').focus()")
    total = "document.querySelector('.listener td[title]').title"
    before = page.js(total)
    page.wait_for(f"{total} !== {json.dumps(before)}", "a refresh")
    assert page.js(page.card("pg-2") + ".querySelector('details').open")
    assert page.js("document.activeElement.tagName") == "SUMMARY"
    assert "http://10.131.0.38:8008" in page.text('.node[data-key="pg-2"] .more-facts')[0]


def test_no_primary_is_said_at_the_top_with_the_reason(page):
    page.show("failover")
    banners = page.text("#banners .banner")
    assert "No primary: pg-2 holds the lease and is being promoted" in banners[0]
    assert "17 waiting" in banners[0]
    assert page.js("document.getElementById('banners').getAttribute('aria-live')") == "polite"
    assert page.js("document.title").startswith("▲ no primary")


def test_a_failover_shows_its_steps_in_time(page):
    page.show("healthy")
    assert page.text(".failover-title")[0].strip() == "pg-2 → pg-1"
    steps = page.text(".failover[open] .steps li")
    assert len(steps) == 8
    assert "20 sessions ended by the server; 14 sessions cut by pgsteer" in \
        page.text(".failover-summary")[0]
    assert "+0.024 s" in steps[3] and "sessions cut" in steps[3]
    assert "1.24 s without a primary" in page.text(".failover-summary")[0]


def test_maintenance_mode_and_alarms_are_said(page):
    page.show("paused")
    assert any("Maintenance mode" in text for text in page.text(".banner.warn"))
    page.show("alarm")
    assert any("timeline 6" in text for text in page.text(".banner.bad"))
    page.wait_for("[...document.querySelectorAll('.banner .aside')]"
                  ".some((e) => /\\d+ s left/.test(e.innerText))", "the fence's countdown")


def test_an_unproven_primary_is_not_passed_off_as_proven(page):
    page.show("healthy")
    assert page.text("h1") == ["pg-1 is the primary"]
    page.show("alarm")
    assert page.text("h1") == ["pg-1 is the primary, unproven"]
    assert page.text('.node[data-key="pg-1"] .facts dt')[0] == "Last state"


def test_each_cluster_has_its_headline_and_its_banners(page):
    """Both have a pg-1, a pg-2 and a pg-3; billing has no primary at the moment."""
    page.show("clusters")
    assert page.text(".eyebrow") == ["Cluster orders", "Cluster billing"]
    assert page.text("h1") == ["pg-1 is the primary", "There is no primary"]
    assert page.text(".node h3")[::3] == ["orders/pg-1", "billing/pg-1"]
    banners = page.text(".banner")
    assert all("billing: " in banner for banner in banners), banners
    assert sum("No primary" in banner for banner in banners) == 1
    assert not any("billing: billing: " in banner for banner in banners), banners
    found = page.js("""[...document.querySelectorAll('.node')]
        .filter((node) => node.textContent.includes('found in the list of members'))
        .map((node) => node.dataset.key)""")
    assert found == ["billing/pg-3"], "the one that is not written down"
    assert page.text(".listener .target") == ["routes to the primary of orders", "routes to replicas of orders",
                                              "routes to the primary of billing"]
    page.show("healthy")
    assert page.text(".eyebrow") == ["Cluster orders"]
    assert page.text(".banner") == []


def test_a_listener_is_shown_beside_its_namesake_that_leaves(page):
    """It was given to another cluster; what has no key of its own is drawn over."""
    page.show("clusters")
    found = page.js("""
      Promise.all([import('./listeners.js'), import('./nodes.js'),
                   fetch('api/v1/status').then((reply) => reply.json())])
        .then(([listeners, nodes, status]) => {
          const twin = {...status.listeners[0], cluster: 'billing', leaving: true};
          const both = {...status, listeners: [...status.listeners, twin]};
          const keys = listeners.listeners(both, {rates: new Map()}).map((card) => card.dataset.key);
          return {keys, cards: nodes.nodes(both).filter((card) => card.dataset.key === 'orders/pg-1')
                                    .map((card) => card.textContent)};
        })""")
    assert len(set(found["keys"])) == len(found["keys"]) == 4
    assert "read_write" in found["cards"][0]


def test_checks_that_stand_still_are_the_first_banner(page):
    """The rest of the page shows a cluster that nobody looks at any more."""
    page.show("healthy")
    first = page.js("""
      Promise.all([import('./judgement.js'), fetch('api/v1/status').then((reply) => reply.json())])
        .then(([judgement, status]) => {
          if (status.checks_stopped !== false) throw new Error('checks_stopped is missing');
          const [cluster] = status.clusters;
          return judgement.banners({...status, clusters: [{...cluster, checks_stopped: true}]})[0];
        })""")
    assert first["level"] == "bad"
    assert "stand still" in first["text"]
    assert len(first["advice"]) > 40


@pytest.mark.parametrize("state", STATES)
def test_every_red_or_amber_light_says_what_to_do(page, state):
    """In visible text near the light, and in its tooltip where it has one."""
    page.show(state)
    silent = page.js("""
      (() => {
        const lights = [...document.querySelectorAll('.bad, .warn, .error')]
            .filter((e) => e.checkVisibility());
        const explained = (e) => e.matches('h1') || e.matches('.contact')
          ? document.querySelector('.banner.bad .advice')
          : e.matches('.event') || e.matches('.chip') ? (e.querySelector('[title]') || e).title
          : e.matches('.verdict') ? e.closest('.node').querySelector('.advice')?.checkVisibility()
          : e.querySelector('.advice')?.checkVisibility();
        return lights.filter((e) => !explained(e)).map((e) => e.outerHTML.slice(0, 200));
      })()""")
    assert silent == []
    chips = page.js("document.querySelectorAll('.chip.bad, .chip.warn').length")
    assert chips == page.js("[...document.querySelectorAll('.chip.bad, .chip.warn')]"
                            ".filter((e) => e.title.length > 40).length")
    assert chips or state in ("healthy", "nothing", "starting", "many", "single",
                              "hostile", "reload_failed", "leaving")


def test_every_reason_and_role_that_lights_up_has_an_explanation(page):
    page.show("healthy")
    page.js("""Promise.all([import('./judgement.js'), import('./explain.js')]).then(([j, e]) => {
        window.unexplained = window.reasons.filter((reason) =>
            ['bad', 'warn'].includes(j.verdictLevel({reason, admission: 'cut'})) !==
            (e.explainVerdict({reason}) !== ''));
        window.lit = window.reasons.filter((reason) =>
            j.verdictLevel({reason, admission: 'cut'}) !== 'none').length;
      })""".replace("window.reasons", json.dumps(reasons())))
    assert page.js("window.unexplained") == []
    assert page.js("window.lit") > 10


def reasons():
    """Every word of a Reason in health/reason.cc."""
    text = (ROOT / "health" / "reason.cc").read_text()
    return re.findall(r'case Reason::k\w+:\s+return "(\w+)"', text)


def test_every_reason_has_its_paragraph_and_stands_in_the_index():
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    used = text.split("\n## Why a node is, or is not, used\n")[1].split("\n## ")[0]
    assert len(reasons()) > 25
    assert [word for word in reasons() if f"\n### {word}\n" not in used] == []
    assert [word for word in reasons() if f"[{word}](#{word})" not in text.split("\n## ")[0]] == []


def test_the_footer_says_which_configuration_is_in_force(page):
    page.show("healthy")
    [line] = [text for text in page.text("footer p") if "Configuration" in text]
    assert line == "Configuration 4, in force for 4 h 21 min: /etc/pgsteer/pgsteer.toml; " \
        "last reload: 2 changes"
    titles = page.js("[...document.querySelectorAll('footer p span')].map((e) => e.title)")
    assert 'node "pg-3" is new\nnode "pg-1": weight: 1 -> 2' in titles
    page.show("single")
    [line] = [text for text in page.text("footer p") if "Configuration" in text]
    assert line == "Configuration 1, in force for 3 d 7 h: /etc/pgsteer/pgsteer.toml"


def test_a_failed_reload_is_said_until_one_succeeds(page):
    page.show("reload_failed")
    [banner] = page.text("#banners .banner.warn")
    assert "changed nothing: /etc/pgsteer/pgsteer.toml:31: listen[1].hodl: is unknown" in banner
    assert "pgsteer check" in banner and "3 min 10 s ago" in banner
    assert page.text("#banners .banner.bad") == []
    titles = page.js("[...document.querySelectorAll('footer p span')].map((e) => e.title)")
    assert any("listen[1].hodl" in title for title in titles)
    page.demo.show("healthy")
    page.wait_until("healthy")
    assert page.text("#banners .banner") == []


def test_what_leaves_the_configuration_is_marked_and_comes_last(page):
    page.show("leaving")
    assert page.text(".node h3") == ["pg-1", "pg-3", "pg-5", "pg-2", "pg-4"]
    assert page.text(".node .chip.leaving") == ["leaving", "leaving"]
    assert page.text('.node[data-key="pg-2"] .chip') == ["leaving", "sync replica"]
    assert page.text('.node[data-key="pg-2"] .advice')[0].startswith("12 sessions left. ")
    assert page.text('.node[data-key="pg-4"] .chip') == ["leaving", "down"]
    assert page.text('.node[data-key="pg-4"] .advice')[0].startswith("0 sessions left. ")
    assert page.text(".listener h3") == ["read_write", "read_only", "reports"]
    reports = page.text('.listener[data-key="reports"]')[0]
    assert "leaving" in reports and "5 clients left. " in reports
    assert page.text('.listener[data-key="read_only"] tbody th') == ["pg-3", "pg-5", "pg-2 leaving"]


def test_what_leaves_the_configuration_is_no_trouble(page):
    """Although pg-4 is down and no node serves the listener reports."""
    page.show("leaving")
    assert page.text("#banners .banner") == []
    assert "all 3 nodes answer" in page.text(".sub")[0] and "2 leaving" in page.text(".sub")[0]
    for name in ("pg-2", "pg-4", "pg-5"):
        assert not is_red(page, page.card(name)), name
        assert not is_red(page, page.card(name), "warn"), name
    reports = "document.querySelector('.listener[data-key=reports]')"
    assert not is_red(page, reports) and not is_red(page, reports, "warn")
    assert page.text('.node[data-key="pg-5"] .verdict b') == ["read_write", "read_only"]
    page.show("trouble")
    assert is_red(page, page.card("pg-2")) and is_red(page, page.card("pg-3"), "warn"), \
        "the check itself would notice both"


def test_a_primary_that_leaves_is_trouble_of_its_listener(page):
    page.show("leaving")
    found = page.js("""
      Promise.all([import('./judgement.js'), fetch('api/v1/status').then((reply) => reply.json())])
        .then(([judgement, status]) => {
          status.nodes[0].leaving = true;
          status.nodes[0].verdicts[0] = {...status.nodes[1].verdicts[0]};
          return judgement.banners(status).map((banner) => [banner.level, banner.key]);
        })""")
    assert found == [["bad", "unserved read_write"]]


def test_a_listener_without_a_node_is_said(page):
    page.show("healthy")
    assert page.text("#banners .banner") == []
    page.show("trouble")
    assert "read_only: no node takes new sessions at the moment." in page.text(".banner.bad")[0]


def test_nothing_known_yet_is_a_state_of_its_own(page):
    page.show("nothing")
    assert page.text("h1") == ["Nothing is known yet"]
    assert page.text("#nodes .empty") == ["No node has been checked yet."]
    assert page.js("document.querySelectorAll('.listener').length") == 2


def test_sixty_four_nodes_fit(page):
    page.show("many")
    assert page.js("document.querySelectorAll('.node').length") == 64
    assert not is_red(page, page.card("pg-4"))


def test_hostile_names_stay_text(page):
    page.show("hostile")
    page.js("document.getElementById('sessions-toggle').click()")
    page.wait_for("document.querySelector('table.sessions tbody tr')", "the session table")
    evil = '<img src=x onerror="window.hacked=1">'
    assert evil in page.text(".node h3")
    assert page.text(".eyebrow b") == ["<script>window.hacked=1</script>"]
    assert any(evil in row for row in page.text("table.sessions tr"))
    assert any(evil in text for text in page.text("#banners .banner.warn"))
    assert any(evil in text for text in page.text("footer p"))
    assert page.js("window.hacked") is None
    assert page.js("document.querySelectorAll('main img, main script, svg[onload]').length") == 0


def test_session_table_filters_and_sorts(page):
    page.show("healthy")
    assert not page.js("document.querySelector('table.sessions') !== null")
    page.js("document.getElementById('sessions-toggle').click()")
    page.wait_for("document.querySelectorAll('table.sessions tbody tr').length === 62", "62 rows")
    page.js("""(() => { const filter = document.getElementById('sessions-filter');
        filter.value = 'billing busy'; filter.dispatchEvent(new Event('input')); })()""")
    rows = page.text("table.sessions tbody tr")
    assert rows and all("billing" in row and "busy" in row for row in rows)
    assert page.text("#sessions-count") == [f"{len(rows)} of 62 sessions"]
    page.js("document.getElementById('sessions-filter').value = ''")
    page.js("document.querySelector('button[data-column=bytes_out]').click()")
    page.js("document.querySelector('button[data-column=bytes_out]').click()")
    assert page.js("document.querySelector('th[aria-sort]').getAttribute('aria-sort')") == "descending"
    sizes = page.js("[...document.querySelectorAll('table.sessions tbody tr')].map((row) =>"
                    "Number(row.cells[9].title.replaceAll(',', '')))")
    assert len(sizes) == 62 and sizes == sorted(sizes, reverse=True)


@pytest.mark.parametrize("state", STATES)
def test_fits_a_phone_without_sideways_scroll(page, state):
    page.show(state, width=390, height=844)
    page.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    widths = page.js("[document.documentElement.scrollWidth, window.innerWidth]")
    assert widths == [390, 390]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("state", STATES)
def test_text_stands_out_from_its_background(page, state, scheme):
    page.show(state, scheme=scheme)
    page.js("document.querySelectorAll('details').forEach((d) => { d.open = true; })")
    found = page.js(LOW_CONTRAST)
    assert found["looked"] > 30
    assert found["low"] == []


def test_theme_button_overrides_the_system(page):
    page.show("healthy", scheme="light")
    background = "getComputedStyle(document.body).backgroundColor"
    light = page.js(background)
    page.js("localStorage.clear()")
    for _ in range(2):
        page.js("document.getElementById('theme').click()")
    assert page.text("#theme") == ["Theme: dark"]
    assert page.js(background) != light
    page.browser.open(page.demo.url)
    assert page.text("#theme") == ["Theme: dark"], "remembered"
    page.js("localStorage.clear()")


def test_asks_nobody_but_pgsteer_and_breaks_no_rule(page):
    page.show("healthy")
    page.js("document.getElementById('sessions-toggle').click()")
    page.wait_for("document.querySelector('table.sessions')", "the session table")
    requests = page.browser.requests()
    assert len(requests) > 5
    assert [url for url in requests if not url.startswith(page.demo.url)] == []
    assert page.browser.complaints() == []


def test_headings_landmarks_and_labels(page):
    page.show("healthy")
    levels = page.js("[...document.querySelectorAll('h1,h2,h3,h4')].map((e) => +e.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after - before <= 1 for before, after in zip(levels, levels[1:]))
    assert page.js("document.querySelectorAll('main, header.top, footer').length") == 3
    assert page.js("[...document.querySelectorAll('main section')].every((s) =>"
                   "s.getAttribute('aria-label') || s.getAttribute('aria-labelledby'))")
    assert page.js("[...document.querySelectorAll('svg')].every((s) =>"
                   "s.getAttribute('aria-hidden') || s.getAttribute('aria-label'))")


def test_lost_contact_is_said_and_forgotten_when_it_is_back():
    with Chromium() as browser:
        with Demo("healthy") as first:
            port = first.port
            browser.open(first.url)
            browser.wait_for("document.getElementById('contact').innerText === 'live'", "contact")
            assert browser.js("document.querySelector('.banner') === null")
        browser.wait_for("/last heard \\d+ s ago/.test(document.getElementById('contact').innerText)",
                         "the loss of contact to be said")
        assert "No contact with pgsteer" in browser.js("document.querySelector('.banner').innerText")
        assert browser.js("document.querySelector('h1').innerText") == "pg-1 is the primary"
        with Demo("healthy", port):
            browser.wait_for("document.getElementById('contact').innerText === 'live'",
                             "contact again")
            assert browser.js("document.querySelector('.banner') === null")


def test_numbers_read_well(page):
    page.show("healthy")
    page.js("import('./format.js').then((module) => { window.format = module; })")
    cases = {
        "bytes(0)": "0 B", "bytes(999)": "999 B", "bytes(1024)": "1.00 kB",
        "bytes(16*1024*1024)": "16.0 MB", "bytes(5e15)": "4.44 PB",
        "duration(0)": "0 ms", "duration(0.00031)": "0.31 ms", "duration(0.0031)": "3.1 ms",
        "duration(0.85)": "0.85 s", "duration(41.7)": "41 s", "duration(125)": "2 min 5 s",
        "duration(120)": "2 min", "duration(15120)": "4 h 12 min", "duration(273600)": "3 d 4 h",
        "count(999999)": "999,999", "count(1234567)": "1.23 M", "age(59.9)": "59 s",
        "ago(0.4)": "just now", "plural(1, 'node')": "1 node", "plural(2, 'node')": "2 nodes",
        "words('no_load_balance')": "no load balance",
    }
    for expression, wanted in cases.items():
        assert page.js(f"format.{expression}") == wanted, expression
