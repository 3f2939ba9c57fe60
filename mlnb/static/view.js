// What a person is about to do in a view: what is open, focused, filtered or half typed. Python draws a view anew
// whenever its state changes; all this stays, by the elements' data-key. It is joined to live.js, which sends.
//
//   <button data-form="sign" data-key="…">  opens <template data-form="sign"> below it; its other data-* fill the
//                                           fields of their name or go along as arguments; data-choices="yes no"
//                                           leaves only the form's buttons whose data-answer is among them
//   <input data-keep>                       what was sent is offered again in the next form: who signs is asked once
//   <button data-filter="fail todo">        shows only the [data-s] with a data-key that are in one of these states
//   <h1 data-focus tabindex=-1>             gets the focus where the focused element is gone: another view
const CONTROLS = "a, button, input, select, textarea, summary, [tabindex]";
const OWN = ["do", "key", "form", "choices", "s", "saves", "lmSuppressShortcuts"]; // what is no argument
const kept = {}; // name of a field → what was sent

const args = (e) => Object.fromEntries(Object.entries(e.dataset).filter(([name]) => !OWN.includes(name)));
const fields = (form) => [...form.elements].filter((field) => field.name);
const keyOf = (e) => e.closest("[data-key]")?.dataset.key;
const typed = (form) => fields(form).filter((field) => field.value !== field.defaultValue);

function memoryOf(view) {
  const drafts = {}; // key of a form → name of a field → text
  const hidden = new Set(); // keys
  let opened = "", filter = "";
  const find = (key) => (key ? view.querySelector(`[data-key="${CSS.escape(key)}"]`) : null);
  const forms = () => [...view.querySelectorAll("form[data-key]")];
  const isBusy = () => forms().some((form) => typed(form).length);
  const remember = (form) => (drafts[form.dataset.key] = Object.fromEntries(typed(form).map((f) => [f.name, f.value])));

  function recall(field) {
    const first = "keep" in field.dataset && !field.value ? kept[field.name] : undefined;
    field.value = drafts[field.form.dataset.key]?.[field.name] ?? first ?? field.value;
  }

  function prepare() {
    forms().flatMap(fields).forEach(recall);
    for (const button of view.querySelectorAll("button[data-form]")) {
      const about = button.closest("li, dl > *")?.querySelector("h2, h3, h4, dt")?.lastChild;
      if (about) button.ariaLabel = `${button.textContent}: ${about.textContent.trim()}`; // not ten times "Sign"
      button.ariaExpanded = String(button.dataset.key === opened);
    }
    // JupyterLab takes keys for its commands (b, d d) unless the focused element itself asks it not to
    for (const control of view.querySelectorAll(CONTROLS)) control.dataset.lmSuppressShortcuts = "true";
  }

  function open(button) {
    const source = view.querySelector(`template[data-form="${button.dataset.form}"]`);
    const form = source.content.firstElementChild.cloneNode(true);
    const choices = (button.dataset.choices ?? "").split(" ");
    for (const b of form.querySelectorAll("[data-answer]")) if (!choices.includes(b.dataset.answer)) b.remove();
    for (const [name, value] of Object.entries(args(button))) {
      const field = form.elements.namedItem(name);
      if (field) field.defaultValue = value;
      else form.dataset[name] = value;
    }
    form.dataset.key = `${opened}/form`;
    button.after(form);
    return form;
  }

  // One form is open at a time; the text of one that is closed is there when it is opened again.
  function toggle(key) {
    const form = find(`${opened}/form`), last = opened, inside = form?.contains(document.activeElement);
    if (form) remember(form);
    form?.remove();
    opened = key === last ? "" : key;
    const begun = opened && open(find(opened));
    prepare();
    if (begun) begun.querySelector("input, textarea, button")?.focus();
    else if (inside) find(last)?.focus();
  }

  function leave(key) {
    if (opened && key === `${opened}/form`) toggle(opened);
  }

  // What was sent is no draft any more.
  function sent(key) {
    find(key)?.reset?.(); // a button has nothing to reset
    leave(key);
    delete drafts[key];
  }

  function show(states, isNew = true) {
    filter = states;
    for (const b of view.querySelectorAll("[data-filter]")) b.ariaPressed = String(b.dataset.filter === states);
    for (const item of view.querySelectorAll("[data-s][data-key]")) {
      if (!states || states.split(" ").includes(item.dataset.s)) hidden.delete(item.dataset.key);
      else if (isNew) hidden.add(item.dataset.key); // what stops matching under one's hands stays
      item.hidden = hidden.has(item.dataset.key);
    }
  }

  function redraw(html) {
    const active = view.contains(document.activeElement) ? document.activeElement : null;
    const home = active?.closest("[data-key]");
    const at = home ? [...home.querySelectorAll(CONTROLS)].indexOf(active) : -1;
    const caret = typeof active?.selectionStart === "number" ? [active.selectionStart, active.selectionEnd] : null;
    const details = [...view.querySelectorAll("details[data-key]")].map((d) => [d.dataset.key, d.open]);
    forms().forEach(remember);
    view.innerHTML = html; // filled from our templates: Python has escaped all that came from data
    for (const [key, isOpen] of details) if (find(key)) find(key).open = isOpen;
    if (find(opened)) open(find(opened));
    else opened = "";
    prepare();
    show(filter, false);
    const now = find(home?.dataset.key), moved = home && !now ? view.querySelector("[data-focus]") : null;
    const control = now?.querySelectorAll(CONTROLS)[at] ?? now ?? moved;
    control?.focus({ preventScroll: !moved });
    if (caret) control?.setSelectionRange?.(...caret);
  }

  return { find, isBusy, toggle, leave, sent, show, redraw };
}
