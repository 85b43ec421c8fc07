// Time that is left, and the way on once the frame says that its form arrived. The site works without this.
"use strict";

for (const place of document.querySelectorAll("[data-left]")) {
  const end = Date.now() + 1000 * place.dataset.left;
  const show = () => {
    const left = Math.max(0, Math.round((end - Date.now()) / 1000));
    const parts = [Math.floor(left / 3600), Math.floor(left / 60) % 60, left % 60];
    place.textContent = parts.map((part) => String(part).padStart(2, "0")).join(":");
  };
  show();
  setInterval(show, 1000);
}

const done = document.querySelector("[data-submitted]");
if (done && parent !== window) parent.postMessage({ submitted: done.dataset.submitted }, location.origin);

const frame = document.querySelector("iframe[data-after]");
if (frame) {
  addEventListener("message", (event) => {
    if (event.origin === location.origin && event.source === frame.contentWindow && event.data.submitted) {
      location.assign(frame.dataset.after);
    }
  });
}
