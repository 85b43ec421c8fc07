// The pages work without this file: every step is a plain form. With it, a step does not reload the page,
// the slider and the keyboard help to guess, and a lost connection loses nothing.
"use strict";

(() => {
  const $ = (selector) => document.querySelector(selector);
  const texts = JSON.parse(document.body.dataset.texts);
  const TIMEOUT_MS = 20000;
  const byTouch = matchMedia("(pointer: coarse)").matches;
  let busy = false;
  const open = { examples: true, history: false }; // whoever folds them, or opens them, finds them so in the next round

  // ---- what is told beside a guess, as the first page says: weak evidence, kept and never held against anyone ----

  let told;
  const watch = () => { told = { pasted: 0, copied: 0, blurs: 0, away: 0, since: document.hasFocus() ? 0 : Date.now() }; };
  const tell = (body) => {
    const away = told.away + (told.since ? Date.now() - told.since : 0);
    for (const name of ["pasted", "copied", "blurs"]) body.set(name, told[name]);
    body.set("away_ms", Math.round(away));
  };

  addEventListener("blur", () => { told.blurs += 1; told.since = Date.now(); });
  addEventListener("focus", () => { if (told.since) told.away += Date.now() - told.since; told.since = 0; });
  document.addEventListener("paste", (event) => { if (event.target.id === "guess") told.pasted = 1; });
  for (const name of ["copy", "cut"]) document.addEventListener(name, () => { told.copied = 1; });

  // ---- the guess: slider and box show one number, and there is none until the annotator gives one ----

  const show = (value) => {
    const slider = $("#slider");
    const set = value !== "" && Number.isFinite(Number(value));
    slider.classList.toggle("unset", !set);
    slider.value = set ? value : (Number(slider.min) + Number(slider.max)) / 2;
    slider.setAttribute("aria-valuetext", set ? written(value) : texts.not_set);
    if (set) complain("");
  };

  const choose = (value) => {
    const box = $("#guess");
    const within = Math.min(Number(box.max), Math.max(Number(box.min), value));
    box.value = String(Math.round(within * 10) / 10);
    show(box.value);
  };

  const written = (number) => String(Number(number)).replace(".", texts.decimal).replace("-", texts.minus);

  const complain = (message) => {
    const error = $("#error");
    if (error.textContent !== message) error.textContent = message;
    $("#guess").toggleAttribute("aria-invalid", false);
    if (message) $("#guess").setAttribute("aria-invalid", "true");
  };

  const refusal = () => {
    const box = $("#guess");
    const said = box.value === "" ? texts.no_guess : box.validity.valid ? "" : texts.off_scale;
    return said.replaceAll("{low}", written(box.min)).replaceAll("{high}", written(box.max));
  };

  // ---- moving from page to page ----

  const arrive = () => {
    watch();
    const form = $("form[data-guess]");
    for (const name of Object.keys(open)) {
      const part = $(`details.${name}`);
      if (!part) continue;
      part.open = open[name];
      part.addEventListener("toggle", () => { open[name] = part.open; });
    }
    if (!form) return;
    form.noValidate = true; // our own words instead of the browser's bubble
    $("#slider").hidden = false;
    if (!byTouch) $(".keys").hidden = false;
    if ($("#guess").value !== "") show($("#guess").value);
    else $("#slider").setAttribute("aria-valuetext", texts.not_set);
  };

  const focusFirst = (looked) => {
    // On a phone the keyboard would cover the slider, so there the heading takes the focus of a new round.
    const target = looked || (byTouch ? null : $("#guess")) || $("#next") || $("main h1");
    if (target) target.focus({ preventScroll: true });
  };

  // The answer is best read next to the examples of its question, and the page stays where it was.
  const keepBeside = (examples) => {
    const page = $(".reveal .alone");
    if (!examples || !page) return;
    page.className = "beside";
    page.append(examples);
  };

  const trouble = (form, text) => {
    const said = document.createElement("p");
    said.className = "trouble";
    said.setAttribute("role", "alert");
    said.textContent = text;
    form.after(said); // in it, it would stand beside the button
  };

  const send = async (form, submitter) => {
    const buttons = document.querySelectorAll("main button");
    const body = new URLSearchParams(new FormData(form, submitter));
    if (form.matches("[data-guess]")) tell(body);
    busy = true;
    buttons.forEach((button) => { button.disabled = true; });
    $("main").setAttribute("aria-busy", "true");
    document.querySelectorAll(".trouble").forEach((old) => old.remove());
    const clock = new AbortController();
    const alarm = setTimeout(() => clock.abort(), TIMEOUT_MS);
    let later = false; // the server is there, and asks to be asked again
    try {
      const reply = await fetch(form.action, { method: "POST", body, signal: clock.signal, credentials: "same-origin" });
      const page = new DOMParser().parseFromString(await reply.text(), "text/html");
      const main = page.querySelector("main[data-announce]"); // ours, and not some proxy’s error page
      later = reply.status >= 500 || reply.status === 429 || reply.status === 408;
      if (!main || later) throw new Error("no page in the reply"); // the typed guess stays on this one
      const examples = $(".beside .examples");
      const look = form.matches("[data-look]");
      const typed = look ? $("#guess").value : ""; // a look leaves the round as it was
      const [at, before] = [scrollY, told];
      $("main").replaceWith(document.adoptNode(main));
      keepBeside(examples);
      document.title = page.title;
      scrollTo(0, look ? at : 0);
      arrive();
      if (look) told = before; // what was seen of this round goes on
      if (typed !== "" && $("#guess")) { $("#guess").value = typed; show(typed); }
      const looked = look && submitter ? $(`#unit-${submitter.value}`) : null; // read out, and the next key begins there
      focusFirst(looked);
      $("#live").textContent = (looked ? $(".readings h2 span").textContent : main.dataset.announce).replace(/\s+/g, " ").trim();
    } catch {
      buttons.forEach((button) => { button.disabled = false; });
      $("main").removeAttribute("aria-busy");
      trouble(form, later ? texts.later : texts.lost);
      if (submitter) submitter.focus({ preventScroll: true });
    } finally {
      clearTimeout(alarm);
      busy = false;
    }
  };

  // ---- listeners sit on the document, so a swapped page needs none of its own ----

  document.addEventListener("submit", (event) => {
    if (event.target.matches("[data-leave]")) return; // it leads to the platform that sent the annotator
    event.preventDefault();
    if (busy) return;
    const form = event.target;
    if (form.matches("[data-guess]")) {
      const message = refusal();
      complain(message);
      if (message) return $(byTouch ? "#slider" : "#guess").focus();
    }
    send(form, event.submitter);
  });

  // The next page's button appears where the last one was: the second half of a double click must not press it.
  document.addEventListener("click", (event) => {
    if (event.detail > 1 && event.target.closest("button")) event.preventDefault();
  });

  document.addEventListener("input", (event) => {
    if (event.target.id === "slider") choose(Number(event.target.value));
    if (event.target.id === "guess") show(event.target.value);
  });

  // A tap on the unset thumb, without moving it, is a guess too: browsers send no "input" for it.
  document.addEventListener("pointerup", (event) => {
    if (event.target.id === "slider" && event.target.classList.contains("unset")) choose(Number(event.target.value));
  });

  // Where the browser expects a point it drops a comma, and "0,5" would become 5.
  const point = !(0.5).toLocaleString(navigator.language).includes(",");
  document.addEventListener("beforeinput", (event) => {
    if (point && event.target.id === "guess" && event.data === ",") {
      event.preventDefault();
      document.execCommand("insertText", false, ".");
    }
  });

  document.addEventListener("wheel", (event) => {
    // A scroll over the focused box would change the guess unseen.
    if (event.target.id === "guess") event.target.blur();
  }, { passive: true });

  const STEPS = { ArrowUp: 1, ArrowRight: 1, ArrowDown: -1, ArrowLeft: -1 };

  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && event.repeat) return event.preventDefault(); // a held key must not skip the answer
    const box = $("#guess");
    if (!box || busy || event.ctrlKey || event.metaKey || event.altKey) return;
    const at = event.target;
    const sideways = event.key === "ArrowLeft" || event.key === "ArrowRight"; // in the box these move the cursor
    if (event.key in STEPS && (at.id === "slider" || (at === box && !sideways))) {
      event.preventDefault();
      const from = box.value === "" ? (Number(box.min) + Number(box.max)) / 2 : Number(box.value);
      choose(from + STEPS[event.key] * (event.shiftKey ? 0.1 : 0.5));
    } else if (/^[0-9.,-]$/.test(event.key) && at !== box && !at.matches("textarea, input:not([type=range])")) {
      if (box.value !== "") { box.value = ""; show(""); } // typing elsewhere starts a new number
      box.focus(); // the key itself then lands in the box
    } else if (event.key === "Enter" && at.id === "slider") {
      event.preventDefault();
      box.form.requestSubmit();
    }
  });

  arrive();
  if ($("form[data-guess]") && !byTouch) $("#guess").focus({ preventScroll: true });
})();
