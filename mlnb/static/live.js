// One widget for all of mlnb that is clicked. Python owns the state and gives it as HTML (the trait `html`); the
// browser owns only what a person is about to do (view.js). What an element asks for stands in its attributes:
//
//   <button data-do="go" data-target="x">  sends {id, do: "go", args: {target: "x"}}
//   <button data-do="go" data-saves …>     the same, and silence is "not saved"
//   <form data-do="sign" data-key="…">     the same with its fields and the data-* of the button that was used;
//                                          Enter in a field is the first button
//
// Python replies {id, ok, said} when the store has it. Silence is said, and a late reply still counts.
const PATIENCE = 8000; // ms
const UNSAVED = "Not saved: the server does not answer";
const OLD = "The server does not answer: this may be out of date";
const GONE = "The kernel was restarted: run this cell again, or reload the page";

const made = (tag, facts) => Object.assign(document.createElement(tag), facts);

function render({ model, el }) {
  const root = made("div", { className: "mlnb live" }), view = made("div"), hide = made("style");
  const status = made("p", { role: "status" }), note = made("p", { className: "said", ariaHidden: "true" });
  const memory = memoryOf(view);
  const waiting = new Map(); // id → what was asked
  let gone = false, clock = 0, said = ["", true, "", true];
  root.append(hide, view, status);
  el.append(root);

  // The status line is what is read out; the note is the same, near the hand.
  function say(text, ok, key = "", passing = false) {
    said = [text, ok, key, passing];
    if (status.textContent !== text) status.textContent = text;
    Object.assign(note, { textContent: text, hidden: !text }).dataset.s = ok ? "pass" : "fail";
    const asked = memory.find(key), part = asked?.closest("li, dd");
    if (part) part.append(note);
    else (asked ?? view).after(note);
  }

  // A form saves, so silence means "not saved"; all else only asks. What is sent again has the same id: done once.
  function send(what, given, key = "", saves = false) {
    const same = JSON.stringify([what, given]), again = [...waiting].find(([, asked]) => asked.same === same);
    const id = again?.[0] ?? Math.random().toString(36).slice(2);
    const asked = { what, key, same, saves, timer: setTimeout(() => unanswered(asked), PATIENCE) };
    clearTimeout(again?.[1].timer);
    waiting.set(id, asked);
    if (saves) say("Saving…", true, key);
    try { model.send({ id, do: what, args: given }); } catch { /* silence, which will be said */ }
  }

  function unanswered(asked) {
    asked.late = true;
    if (asked.saves) say(gone ? `${UNSAVED}. ${GONE}` : UNSAVED, false, asked.key);
    else if (said[1] || said[3]) say(OLD, false, "", true);
  }

  model.on("msg:custom", ({ id, ok, said: text }) => {
    const asked = waiting.get(id);
    if (!asked) return; // another view asked
    clearTimeout(asked.timer);
    waiting.delete(id);
    if (asked.saves && ok) memory.sent(asked.key);
    const key = memory.find(asked.key) ? asked.key : asked.key.replace(/\/form$/, "");
    if (asked.saves || text) say(text, ok, key, !asked.saves && !(ok && asked.what === "look")); // what came of work stays
    else if (said[3]) say("", true);
  });

  function submit(form, button) {
    if (!form.reportValidity()) return;
    for (const field of fields(form)) if ("keep" in field.dataset) kept[field.name] = field.value;
    const given = Object.fromEntries(fields(form).map((field) => [field.name, field.value]));
    send(form.dataset.do, { ...args(form), ...given, ...args(button) }, form.dataset.key, true);
  }

  root.addEventListener("submit", (event) => event.preventDefault());
  root.addEventListener("click", (event) => {
    const button = event.target.closest("button");
    if (!button) return;
    event.preventDefault();
    if (button.dataset.filter !== undefined) memory.show(button.dataset.filter);
    else if (button.dataset.form) memory.toggle(button.dataset.key);
    else if (button.form?.dataset.do) submit(button.form, button);
    else if (button.dataset.do) send(button.dataset.do, args(button), keyOf(button), "saves" in button.dataset);
  });
  root.addEventListener("keydown", (event) => {
    const field = event.target, form = field.form;
    if (!form?.dataset.do || field.tagName === "BUTTON") return;
    if (event.key === "Escape") memory.leave(form.dataset.key);
    if (event.key !== "Enter") return;
    event.preventDefault(); // JupyterLab neither submits nor breaks the line
    if (field.tagName === "INPUT") submit(form, form.querySelector("button"));
    else field.setRangeText?.("\n", field.selectionStart, field.selectionEnd, "end");
  });

  // The record stands above: while the widget lives it is hidden. After a restart nobody answers here: then the record
  // shows and the widget goes, unless somebody is in the middle of a form.
  function connect() {
    const leaves = gone && !memory.isBusy();
    const record = `.jp-OutputArea-child:has([data-record="${model.get("hides")}"])`;
    hide.textContent = leaves ? "" : `${record} { display: none }`;
    view.hidden = leaves;
  }

  function disconnect() {
    gone = true;
    say(GONE, false);
    for (const asked of waiting.values()) if (asked.saves) unanswered(asked);
    connect();
  }

  function redraw() {
    memory.redraw(model.get("html"));
    say(...said);
  }

  function look() {
    const asks = [...waiting.values()].some((asked) => asked.what === "look" && !asked.late);
    if (!asks && !gone && root.isConnected && document.visibilityState === "visible") send("look", {});
  }

  // Python asks for more looks while it works.
  function pace() {
    clearInterval(clock);
    const every = model.get("look_every");
    clock = every > 0 ? setInterval(look, every * 1000) : 0;
  }

  model.on("change:html", redraw);
  model.on("comm_live_update", disconnect);
  model.on("change:look_every", pace);
  redraw();
  connect();
  pace();
  send("open", {});
  return () => [clock, ...[...waiting.values()].map(({ timer }) => timer)].forEach(clearTimeout);
}

export default { render };
