// The documentation: calls in three languages, code to copy, and the search.

const calls = [...document.querySelectorAll(".call")];
const samples = [...document.querySelectorAll(".call pre")];
const languages = [...document.querySelectorAll("[data-language]")];

// One choice for all pages.
function speak(language) {
  for (const each of samples) each.hidden = each.dataset.of !== language;
  for (const each of languages) each.setAttribute("aria-pressed", String(each.dataset.language === language));
}

// A page that did not come over TLS has no clipboard: there it is selected, to be copied by hand.
async function copied(block) {
  try {
    await navigator.clipboard.writeText(block.textContent);
    return "Copied";
  } catch {
    getSelection().selectAllChildren(block);
    return "Selected";
  }
}

function copies(button, block) {
  button.addEventListener("click", async () => { button.textContent = await copied(block()); });
  button.addEventListener("blur", () => { button.textContent = "Copy"; });
}

for (const each of samples) each.textContent = each.textContent.replaceAll("http://nova", location.origin);
for (const box of calls) {
  box.querySelector(".languages").hidden = false;
  copies(box.querySelector(".copy"), () => box.querySelector("pre:not([hidden])"));
}
for (const code of document.querySelectorAll("main pre > code")) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "copy";
  button.textContent = "Copy";
  const box = document.createElement("div");
  box.className = "sample";
  const block = code.parentElement;
  block.replaceWith(box);
  box.append(block, button);
  copies(button, () => code);
}
// What scrolls sideways has to be reached by keyboard, too.
const reach = new ResizeObserver((boxes) => {
  for (const { target } of boxes) {
    if (target.scrollWidth > target.clientWidth) target.tabIndex = 0;
    else target.removeAttribute("tabindex");
  }
});
for (const each of document.querySelectorAll("pre, .wide")) reach.observe(each);
// On a phone, the rows of a wide table stand below one another: each cell names its column.
for (const table of document.querySelectorAll(".wide > table")) {
  const heads = [...table.querySelectorAll("thead th")].map((each) => each.textContent);
  if (heads.length < 3) continue;
  table.classList.add("stacks");
  for (const row of table.tBodies[0]?.rows ?? []) {
    [...row.cells].forEach((cell, number) => { if (heads[number]) cell.dataset.head = heads[number]; });
  }
}
for (const each of languages) {
  each.addEventListener("click", () => {
    const before = each.getBoundingClientRect().top;
    speak(each.dataset.language);
    sessionStorage.setItem("language", each.dataset.language);
    // Calls above grew or shrank with it: what was clicked stays under the pointer.
    scrollBy(0, each.getBoundingClientRect().top - before);
  });
}
speak(sessionStorage.getItem("language") ?? "curl");

const search = document.querySelector("search");
const asked = search.querySelector("input");
const found = search.querySelector(".found");
const MOST = 12;
let index;

function parts() {
  index ??= fetch("/docs/search.json").then((answer) => answer.json());
  return index;
}

// How well a part fits: every word has to be in it, and words of its title count most.
function score(part, words) {
  const title = part.title.toLowerCase();
  const all = `${title} ${part.within} ${part.text}`.toLowerCase();
  if (!words.every((word) => all.includes(word))) return 0;
  return 1 + words.filter((word) => title.includes(word)).length * 10;
}

function line(part) {
  const item = document.createElement("li");
  const link = document.createElement("a");
  link.href = part.url;
  link.textContent = part.title;
  const within = document.createElement("small");
  within.textContent = part.within;
  link.append(" ", within);
  link.addEventListener("click", () => { found.replaceChildren(); });
  item.append(link);
  return item;
}

asked.addEventListener("focus", parts);
asked.addEventListener("input", async () => {
  const words = asked.value.toLowerCase().split(/\s+/).filter(Boolean);
  const all = words.length ? await parts() : [];
  const best = all.map((part) => [score(part, words), part]).filter(([points]) => points);
  best.sort(([one], [other]) => other - one);
  const lines = best.slice(0, MOST).map(([, part]) => line(part));
  if (words.length && !lines.length) lines.push(Object.assign(document.createElement("li"), { textContent: "Nothing found" }));
  found.replaceChildren(...lines);
});
asked.addEventListener("keydown", (event) => {
  if (event.key === "Enter") found.querySelector("a")?.click();
  if (event.key === "Escape") found.replaceChildren();
});
search.hidden = false;
