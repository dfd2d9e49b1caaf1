// The table of live sessions: fetched only while it is open; filtered and sorted in the browser.
import {h, patch} from './dom.js';
import {bytes, count, duration, exact} from './format.js';

const kRowsShown = 500;
const kPause = 2000;  // between two fetches, in milliseconds

const kColumns = [
  ['client', 'Client'], ['listener', 'Listener'], ['node', 'Node'], ['user', 'User'],
  ['database', 'Database'], ['application', 'Application'], ['phase', 'Phase'],
  ['age_seconds', 'Age', duration], ['bytes_in', 'From client', bytes],
  ['bytes_out', 'To client', bytes], ['tls', 'TLS'], ['local', 'Address at the node'],
];

const kSearched = ['client', 'listener', 'node', 'user', 'database', 'application', 'phase', 'local'];

export class Sessions {
  constructor() {
    this.rows = null;
    this.problem = '';
    this.order = {by: 'age_seconds', down: false};
    this.toggle = document.getElementById('sessions-toggle');
    this.box = document.getElementById('sessions');
    this.filter = document.getElementById('sessions-filter');
    this.toggle.addEventListener('click', () => this.flip());
    this.filter.addEventListener('input', () => this.draw());
    this.box.addEventListener('click', (event) => {
      const button = event.target.closest('button[data-column]');
      if (button) this.sortBy(button.dataset.column);
    });
  }

  get open() {
    return this.toggle.getAttribute('aria-expanded') === 'true';
  }

  flip() {
    const open = !this.open;
    this.toggle.setAttribute('aria-expanded', String(open));
    this.toggle.textContent = open ? 'Hide the live sessions' : 'Show the live sessions';
    this.box.hidden = !open;
    document.getElementById('sessions-filter-label').hidden = !open;
    if (open) this.load();
    this.draw();
  }

  async load() {
    clearTimeout(this.timer);
    try {
      const reply = await fetch('api/v1/sessions',
                                {cache: 'no-store', signal: AbortSignal.timeout(5000)});
      this.problem = reply.ok ? '' : (await reply.text()).trim();
      if (reply.ok) this.rows = (await reply.json()).sessions;
    } catch (e) {
      this.problem = 'no contact with pgsteer';
    }
    if (!this.open) return;
    this.draw();
    this.timer = setTimeout(() => this.load(), kPause);
  }

  sortBy(column) {
    this.order = {by: column, down: this.order.by === column && !this.order.down};
    this.draw();
  }

  chosen() {
    const wanted = this.filter.value.trim().toLowerCase().split(/\s+/).filter(Boolean);
    const text = (row) => kSearched.map((name) => row[name] || '').join(' ').toLowerCase() +
      (row.busy ? ' busy' : '');
    const rows = this.rows.filter((row) => wanted.every((word) => text(row).includes(word)));
    const {by, down} = this.order;
    const compare = (a, b) => typeof a[by] === 'number' ? a[by] - b[by]
      : String(a[by] || '').localeCompare(String(b[by] || ''), undefined, {numeric: true});
    return rows.sort((a, b) => (down ? -1 : 1) * compare(a, b) || a.id - b.id);
  }

  head() {
    return h('thead', {}, h('tr', {}, kColumns.map(([name, title]) => {
      const sorted = this.order.by === name;
      const sort = sorted ? (this.order.down ? 'descending' : 'ascending') : null;
      return h('th', {scope: 'col', 'aria-sort': sort},
               h('button', {type: 'button', class: 'quiet', 'data-column': name}, title,
                 h('span', {'aria-hidden': 'true'}, sorted ? (this.order.down ? ' ↓' : ' ↑') : '')));
    })));
  }

  row(session) {
    return h('tr', {key: session.id}, kColumns.map(([name, , format]) => {
      const value = session[name];
      if (format) return h('td', {class: 'number', title: exact(value)}, format(value));
      if (name === 'phase') return h('td', {}, value + (session.busy ? ', busy' : ''));
      return h('td', {title: value}, value === null ? '–' : value);
    }));
  }

  draw() {
    const counter = document.getElementById('sessions-count');
    if (!this.open) {
      patch(counter);
      return;
    }
    if (!this.rows) {
      patch(counter, this.problem || 'loading');
      return;
    }
    const rows = this.chosen();
    const shown = rows.slice(0, kRowsShown);
    const text = count(rows.length) + ' of ' + count(this.rows.length) + ' sessions' +
      (rows.length > shown.length ? ', the first ' + kRowsShown + ' shown' : '');
    patch(counter, this.problem || text);
    this.box.tabIndex = 0;
    patch(this.box, h('table', {class: 'sessions'}, this.head(),
                      h('tbody', {}, shown.map((session) => this.row(session)))));
  }
}
