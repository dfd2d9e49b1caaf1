// One card per node: its role, its last checks, and which listeners use it and why.
import {h} from './dom.js';
import {explainRole, explainVerdict, kLeaving} from './explain.js';
import {age, ago, bytes, count, duration, exact, plural, secondsBetween, words} from './format.js';
import {admissionWord, fullName, isOutOfSight, leavingLast, levelOn, nodeLevel} from './judgement.js';

const kChecksShown = 64;
export const kDenseFrom = 13;  // with this many nodes, the cards of healthy ones show less

function shownChecks(node) {
  const history = (node.check_history || '').slice(-kChecksShown);
  return {history, failed: [...history].filter((mark) => mark === '0').length};
}

// Passed: a tall bar. Failed: a short coloured one. Not made yet: a dot.
function checksPicture(node) {
  const {history, failed} = shownChecks(node);
  const label = history.length === 0 ? 'No check yet'
    : 'Last ' + plural(history.length, 'check') + ': ' +
      (failed ? failed + ' failed' : 'all passed');
  const bars = [];
  for (let i = 0; i < kChecksShown; i += 1) {
    const mark = history[i - (kChecksShown - history.length)];
    const [kind, y, height] = mark === '1' ? ['passed', 0, 16]
      : mark === '0' ? ['failed', 9, 7] : ['empty', 14, 2];
    bars.push(h('rect', {class: kind, x: i * 4, y, width: 3, height}));
  }
  return h('svg', {class: 'checks', viewBox: '0 0 255 16', preserveAspectRatio: 'none', role: 'img',
                   'aria-label': label}, h('title', {}, label), ...bars);
}

const kStatusTitle = 'Of GET /leader: 200 from the node with the leader lease, 503 from all others';

function lastCheck(node, now) {
  if (!node.last_check_at) return 'Not checked yet';
  const {history, failed} = shownChecks(node);
  const answered = /^\d{3}$/.test(node.last_check_result);
  const text = answered
    ? 'answered ' + node.last_check_result + ' in ' + duration(node.check_seconds)
    : node.last_check_result;
  return [failed ? failed + ' of the last ' + plural(history.length, 'check') + ' failed. ' : null,
          'Last check: ', h('span', {title: answered ? kStatusTitle : null}, text), ', ',
          h('span', {class: 'nowrap', title: node.last_check_at},
            ago(secondsBetween(node.last_check_at, now)))];
}

// Listeners with the same verdict on the node share a line.
function verdictGroups(node) {
  const groups = new Map();
  for (const verdict of node.verdicts) {
    const key = [verdict.admission, verdict.reason, verdict.why].join('\n');
    if (!groups.has(key)) {
      groups.set(key, {...verdict, level: levelOn(node, verdict), listeners: [],
                       means: node.leaving ? '' : explainVerdict(verdict)});
    }
    groups.get(key).listeners.push(verdict.listener);
  }
  // The same explanation is given once per node.
  const explained = new Set();
  for (const group of groups.values()) {
    group.advice = explained.has(group.means) ? '' : group.means;
    explained.add(group.means);
  }
  return [...groups.values()];
}

const kMarks = {ok: '●', none: '○', warn: '◐', bad: '▲'};

function verdictLine(group) {
  return h('li', {class: 'verdict ' + group.level, key: group.listeners.join(' ')},
           h('span', {class: 'mark', 'aria-hidden': 'true'}, kMarks[group.level]),
           h('div', {},
             h('p', {class: 'verdict-head'}, h('b', {}, group.listeners.join(', ')), ' ',
               h('span', {title: group.means || group.reason},
                 admissionWord(group.admission))),
             h('p', {class: 'why'}, group.why),
             group.advice ? h('p', {class: 'advice'}, group.advice) : null));
}

// The same in one line, for clusters with many nodes.
function verdictsInShort(groups) {
  return h('ul', {class: 'verdicts-short'}, groups.map((group) =>
    h('li', {class: 'verdict ' + group.level, key: group.listeners.join(' '),
             title: group.listeners.join(', ') + ' ' + admissionWord(group.admission) + ': ' +
                    group.why},
      h('span', {class: 'mark', 'aria-hidden': 'true'}, kMarks[group.level]),
      h('span', {}, group.listeners.join(', '),
        h('span', {class: 'visually-hidden'}, ' ' + admissionWord(group.admission))))));
}

function fact(name, value, title) {
  return value === null || value === undefined || value === '' ? null
    : h('div', {key: name}, h('dt', {}, name), h('dd', {title}, value));
}

function mainFacts(node) {
  const old = isOutOfSight(node);
  return h('dl', {class: old ? 'facts old' : 'facts',
                  title: old ? 'From its last answer' : null},
           fact(old ? 'Last state' : 'State', node.state ? words(node.state) : 'unknown',
                node.replication_state ? 'replication: ' + node.replication_state : null),
           fact('Timeline', node.timeline === null ? '–' : node.timeline),
           node.lag_bytes === null
             ? fact('WAL position', node.wal_position || '–',
                    node.wal_position_bytes === null ? null
                                                     : exact(node.wal_position_bytes) + ' bytes')
             : fact('Lag', bytes(node.lag_bytes), exact(node.lag_bytes) + ' bytes'));
}

function moreFacts(node) {
  const tags = Object.entries(node.tags).map(([name, value]) => name + ' = ' + value);
  const failed = node.checks_failed;
  return h('dl', {class: 'more-facts'},
           fact('Address', node.address && node.address !== node.host
             ? node.host + ' (' + node.address + ')'
             : node.host + (node.address ? '' : ' (does not resolve)')),
           fact('REST API', node.rest_url),
           fact('Written down', node.discovered ? 'no: found in the list of members' : null,
                'It is forgotten when the members no longer list it and it does not answer'),
           fact('PostgreSQL', node.server_version),
           fact('Patroni', node.patroni_version),
           fact('Leader lease', node.lease ? 'yes' : 'no'),
           node.lag_bytes !== null ? fact('WAL position', node.wal_position) : null,
           fact('Replication', node.replication_state && words(node.replication_state)),
           fact('Port answers', node.database_answer),
           fact('TLS', node.tls),
           fact('Weight', node.weight === 1 ? null : node.weight),
           fact('Checks', count(node.checks_total) + ', ' + count(failed) + ' failed',
                exact(node.checks_total) + ' checks, ' + exact(failed) + ' failed'),
           fact('Tags', tags.join(', ')));
}

// Of the light on the node's role: what its role means, or else its worst verdict.
function explanation(node) {
  const worst = node.verdicts.find((verdict) => levelOn(node, verdict) === 'bad') ||
    node.verdicts.find((verdict) => levelOn(node, verdict) === 'warn');
  return explainRole(node.role) || (worst ? explainVerdict(worst) : '');
}

function roleChip(node, level, now) {
  const mark = level === 'none' ? '' : (level === 'bad' ? '▲ ' : '◐ ');
  const kind = level === 'none' ? (node.role === 'primary' ? 'primary' : 'plain') : level;
  const title = level === 'none' ? null : explanation(node);
  return [h('span', {class: 'chip ' + kind, title}, mark + words(node.role)),
          node.role_since
            ? h('span', {class: 'for', title: node.role_since},
                'for ' + age(secondsBetween(node.role_since, now))) : null];
}

function sessionsOn(node, status) {
  return status.listeners.filter((listener) => listener.cluster === node.cluster)
      .flatMap((listener) => listener.nodes)
      .filter((traffic) => traffic.node === node.name)
      .reduce((sum, traffic) => sum + traffic.sessions, 0);
}

function leavingNote(node, status) {
  return h('p', {class: 'advice'}, h('b', {}, plural(sessionsOn(node, status), 'session') + ' left. '),
           kLeaving.node);
}

function card(node, status, dense) {
  const now = status.generated_at;
  const level = nodeLevel(node);
  const quiet = dense && level === 'none';
  const groups = verdictGroups(node);
  const verdicts = h('ul', {class: 'verdicts'}, groups.map(verdictLine));
  const unexplained = level !== 'none' && !groups.some((group) => group.advice);
  return h('article', {class: 'card node ' + level + (node.primary ? ' is-primary' : '') +
                              (node.leaving ? ' leaving' : ''),
                       key: fullName(node)},
           h('header', {}, h('h3', {title: fullName(node)}, fullName(node)),
             h('p', {class: 'role'},
               node.leaving ? h('span', {class: 'chip leaving', title: kLeaving.node}, 'leaving') : null,
               roleChip(node, level, now))),
           node.leaving ? leavingNote(node, status) : null,
           unexplained ? h('p', {class: 'advice'}, explanation(node)) : null,
           mainFacts(node),
           checksPicture(node),
           h('p', {class: 'last-check'}, lastCheck(node, now)),
           quiet ? verdictsInShort(groups) : verdicts,
           h('details', {}, h('summary', {}, 'Details'),
             quiet ? verdicts : null, moreFacts(node)));
}

export function nodes(status) {
  if (!status.nodes.length) {
    return [h('p', {class: 'empty', key: 'empty'}, 'No node has been checked yet.')];
  }
  const dense = status.nodes.length >= kDenseFrom;
  const gone = (node, verdict) => status.listeners.some(
    (one) => one.leaving && one.cluster === node.cluster && one.name === verdict.listener);
  return leavingLast(status.nodes).map((node) => {
    const verdicts = node.verdicts.filter((verdict) => !gone(node, verdict));
    return card({...node, verdicts}, status, dense);
  });
}
