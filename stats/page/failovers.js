// The last failovers, each with its steps, and the last events.
import {h} from './dom.js';
import {kFailoverAdvice} from './explain.js';
import {ago, clock, duration, plural, secondsBetween} from './format.js';

const kStepWords = {
  first_suspicion: 'first suspicion', server_ended: 'ended by the server', proof: 'proof', cut: 'sessions cut', new_primary: 'new primary',
  first_session: 'first session', held_released: 'waiting clients served', done: 'done',
};
const kEventsShown = 12;

const prefix = (failover) => (failover.cluster ? failover.cluster + ': ' : '');

function title(failover) {
  if (failover.kind === 'interruption') return (failover.from || 'The primary') + ' interrupted';
  return (failover.from || 'no node') + ' → ' + (failover.to || '…');
}

function summary(failover) {
  const parts = [duration(failover.no_primary_seconds) + ' without a primary'];
  if (failover.sessions_ended_by_server) {
    parts.push(plural(failover.sessions_ended_by_server, 'session') + ' ended by the server');
  }
  if (failover.sessions_cut) {
    parts.push(plural(failover.sessions_cut, 'session') + ' cut by pgsteer, ' + failover.sessions_cut_told +
               ' of them with an error message');
  }
  if (failover.clients_held) {
    parts.push(plural(failover.clients_held, 'client') + ' waited' +
      (failover.held_longest_seconds ? ', the longest ' + duration(failover.held_longest_seconds)
                                     : ''));
  }
  return parts.join('; ') + (failover.finished ? '.' : ' so far.');
}

// The steps to scale on a time line; the thick part is the time without a primary.
function picture(failover) {
  const steps = failover.steps;
  if (steps.length < 2) return null;
  const end = Math.max(steps.at(-1).at_seconds, failover.finished ? 0 : failover.no_primary_seconds,
                       0.001);
  const x = (seconds) => 6 + (Math.min(seconds, end) / end) * 588;
  const at = (what) => steps.find((step) => step.what === what);
  const lost = steps.find((step) => ['server_ended', 'proof', 'cut'].includes(step.what)) || steps[0];
  const back = at('new_primary');
  return h('svg', {class: 'steps-picture', viewBox: '0 0 600 14', preserveAspectRatio: 'none',
                   'aria-hidden': 'true'},
           h('line', {class: 'axis', x1: 6, y1: 7, x2: 594, y2: 7}),
           h('line', {class: 'gap', x1: x(lost.at_seconds), y1: 7,
                      x2: x(back ? back.at_seconds : end), y2: 7}),
           steps.map((step) => h('rect', {class: 'step', x: (x(step.at_seconds) - 1.5).toFixed(1),
                                          y: 1, width: 3, height: 12})));
}

function entry(failover, index, now) {
  const when = failover.began_at;
  return h('details', {class: 'card failover' + (failover.finished ? '' : ' warn'),
                       key: prefix(failover) + failover.id, open: index === 0 || !failover.finished},
           h('summary', {},
             h('span', {class: 'failover-title'}, prefix(failover), title(failover),
               failover.finished ? null : h('span', {class: 'chip warn', title: kFailoverAdvice}, '◐ in progress')),
             when ? h('span', {class: 'when', title: when},
                      ago(secondsBetween(when, now))) : null,
             h('span', {class: 'failover-summary'}, summary(failover))),
           failover.finished ? null : h('p', {class: 'advice'}, kFailoverAdvice),
           picture(failover),
           h('ol', {class: 'steps'}, failover.steps.map((step) =>
             h('li', {}, h('span', {class: 'step-time'}, '+' + step.at_seconds.toFixed(3) + ' s'),
               h('span', {}, h('b', {}, kStepWords[step.what] || step.what), ' ', step.text)))));
}

export function failovers(status) {
  if (!status.failovers.length) {
    return [h('p', {class: 'empty', key: 'empty'},
              'None since pgsteer started.')];
  }
  return status.failovers.map((failover, index) => entry(failover, index, status.generated_at));
}

const kEventMarks = {warn: '◐', error: '▲'};
const kEventTitles = {
  warn: 'Warning: clients may have noticed it.',
  error: 'Error: somebody should look at it.',
};

function line(event, now) {
  return h('li', {class: 'event ' + event.severity},
           h('time', {datetime: event.at, title: event.at}, event.at ? clock(event.at, now) : ''),
           h('span', {class: 'mark', title: kEventTitles[event.severity]},
             kEventMarks[event.severity] || '·'),
           h('span', {}, event.text));
}

export function events(status) {
  const lines = status.events.map((event) => line(event, status.generated_at));
  if (!lines.length) return [h('p', {class: 'empty', key: 'empty'}, 'Nothing has happened yet.')];
  const older = lines.slice(kEventsShown);
  return [
    h('ol', {class: 'events', key: 'recent'}, lines.slice(0, kEventsShown)),
    status.events.some((event) => kEventMarks[event.severity])
      ? h('p', {class: 'note', key: 'legend'}, '◐ warning, ▲ error. The log has the same lines.')
      : null,
    older.length ? h('details', {key: 'older'},
                     h('summary', {}, plural(older.length, 'earlier event')),
                     h('ol', {class: 'events'}, older)) : null,
  ];
}
