// SPDX-License-Identifier: Apache-2.0
// A form for a row of a model, and what the model makes of it. No storage, no library.

const at = (id) => document.getElementById(id);
const BARS_MAX = 12;
let key = '';
let model = null; // as GET /v1/models/NAME/versions/V tells it
let turn = 0; // replies to what was asked before the last question are passed over

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}

function say(problem) {
  at('problem').textContent = problem;
  at('problem').hidden = problem === '';
}

async function ask(path, body) {
  const headers = body === undefined ? {} : {'Content-Type': 'application/json'};
  if (key) headers.Authorization = `Bearer ${key}`;
  const reply = await fetch(path, {method: body === undefined ? 'GET' : 'POST', headers, body});
  const text = await reply.text();
  let content = {};
  try {
    content = JSON.parse(text);
  } catch {
    content = {error: text.trim()};
  }
  if (!reply.ok) throw Object.assign(new Error(content.error || `status ${reply.status}`), {status: reply.status, ...content});
  return {content, text};
}

function pathOf(name, version) {
  return `/v1/models/${encodeURIComponent(name)}/versions/${encodeURIComponent(version)}`;
}

function fieldOf(column, index) {
  const id = `field-${index}`;
  const properties = {id, name: String(index), autocomplete: 'off', spellcheck: false};
  let input;
  if (column.kind === 'boolean') {
    input = element('select', properties, new Option('', ''), new Option('true', 'true'), new Option('false', 'false'));
  } else if (column.levels && column.levels.length <= 30) {
    input = element('select', properties, new Option('', ''), ...column.levels.map((level) => new Option(level, level)));
  } else {
    input = element('input', properties);
    if (column.kind === 'numeric') input.inputMode = 'decimal';
    if (column.minimum !== undefined && column.kind === 'numeric') input.placeholder = `${column.minimum} … ${column.maximum}`;
    else if (column.kind === 'datetime') input.placeholder = '2026-01-31T12:00:00Z';
    if (column.levels) {
      input.setAttribute('list', `${id}-levels`);
      return element('div', {}, element('label', {htmlFor: id, textContent: column.name}), input,
        element('datalist', {id: `${id}-levels`}, ...column.levels.map((level) => new Option(level))));
    }
  }
  return element('div', {}, element('label', {htmlFor: id, textContent: column.name}), input);
}

// Texts are what any column takes, but numbers are sent as such, so that the row reads well.
function valueOf(column, text) {
  if (text === '') return null;
  if (column.kind === 'boolean') return text === 'true';
  return column.kind === 'numeric' && /^-?(0|[1-9]\d*)(\.\d+)?([eE][-+]?\d+)?$/.test(text) ? Number(text) : text;
}

function rowOfForm() {
  const row = {};
  model.inputs.forEach((column, index) => {
    row[column.name] = valueOf(column, at(`field-${index}`).value.trim());
  });
  return row;
}

// The number stands beside it as text.
function trackOf(share) {
  const filled = element('i');
  filled.style.width = `${100 * share}%`;
  return element('div', {ariaHidden: 'true'}, filled);
}

function show(prediction) {
  const shares = Object.entries(prediction).filter(([name, value]) => name.startsWith('p_') && typeof value === 'number');
  const others = Object.entries(prediction).filter(([name]) => !name.startsWith('p_') && !['model', 'version', 'prediction'].includes(name));
  at('label').className = '';
  at('label').replaceChildren(...('prediction' in prediction
    ? [element('span', {className: 'soft', textContent: model.target ? `${model.target} ` : ''}), element('b', {textContent: String(prediction.prediction)})] : []));
  shares.sort((a, b) => b[1] - a[1]);
  at('bars').replaceChildren(...shares.slice(0, BARS_MAX).map(([name, value]) =>
    element('div', {className: 'bar'}, element('span', {textContent: name.slice(2)}), element('span', {textContent: `${(100 * value).toFixed(1)} %`}),
      trackOf(value))),
  ...others.slice(0, 100).map(([name, value]) =>
    element('div', {className: 'bar'}, element('span', {textContent: name}), element('span', {textContent: String(value)}))));
}

function forget() {
  turn++;
  at('label').className = 'soft';
  at('label').textContent = 'Fill in what is known; what is left empty is missing.';
  at('bars').replaceChildren();
  at('details').hidden = true;
  document.querySelectorAll('[aria-invalid]').forEach(unmark);
  say('');
}

function unmark(field) {
  field.removeAttribute('aria-invalid');
  field.setCustomValidity('');
}

function mark(column, problem) {
  const field = at(`field-${model.inputs.findIndex((input) => input.name === column)}`);
  if (!field) return;
  field.setAttribute('aria-invalid', 'true');
  field.setCustomValidity(problem);
  field.addEventListener('input', () => unmark(field), {once: true});
  field.reportValidity();
}

async function predict(event) {
  event.preventDefault();
  forget();
  const mine = turn;
  const path = pathOf(model.name, model.version);
  const body = JSON.stringify(rowOfForm());
  try {
    const {content, text} = await ask(path, body);
    if (mine !== turn) return;
    show(content);
    const quoted = body.replaceAll("'", "'\\''");
    at('curl').textContent = `curl -H 'Content-Type: application/json' ${key ? "-H \"Authorization: Bearer $KEY\" " : ''}-d '${quoted}' '${location.origin}${path}'`;
    at('reply').textContent = text;
    at('details').hidden = false;
    at('answer').scrollIntoView({block: 'nearest', behavior: 'smooth'});
  } catch (error) {
    if (mine !== turn) return;
    say(error.message);
    if (error.column) mark(error.column, error.message);
  }
}

async function choose() {
  const [name, version] = JSON.parse(at('model').value);
  forget();
  const mine = turn;
  try {
    const {content} = await ask(pathOf(name, version));
    if (mine !== turn) return;
    model = content;
    const classes = model.classes.length ? `: ${model.classes.slice(0, 6).join(', ')}${model.classes.length > 6 ? ' …' : ''}` : '';
    at('about').textContent = `${model.task}${model.target ? ` of ${model.target}` : ''}${classes} · ${model.inputs.length} columns · ${model.hash}`;
    at('fields').replaceChildren(...model.inputs.map(fieldOf));
    at('work').hidden = false;
  } catch (error) {
    if (mine === turn) say(error.message);
  }
}

async function list() {
  try {
    const {content} = await ask('/v1/models');
    const options = content.models.flatMap(({name, versions}) => versions.filter((v) => v.state === 'AVAILABLE').map((v) =>
      new Option(versions.length > 1 ? `${name}, version ${v.version}` : name, JSON.stringify([name, v.version]), v.default, v.default)));
    at('access').hidden = key === '';
    at('choose').hidden = options.length === 0;
    at('model').replaceChildren(...options);
    if (options.length) await choose();
    else say('There is no model that you may read.');
  } catch (error) {
    const refused = error.status === 401 || error.status === 403;
    if (refused) at('access').hidden = false;
    say(refused && key === '' ? '' : error.message);
  }
}

at('access').addEventListener('submit', (event) => {
  event.preventDefault();
  key = at('key').value.trim();
  list();
});
at('model').addEventListener('change', choose);
at('row').addEventListener('submit', predict);
at('row').addEventListener('reset', forget);
list();
