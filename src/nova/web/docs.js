const calls = [...document.querySelectorAll(".call")];
const pages = [...document.querySelectorAll(".call pre")];
const languages = [...document.querySelectorAll("[data-language]")];

// One choice for the whole page.
function speak(language) {
  for (const page of pages) page.hidden = page.dataset.of !== language;
  for (const each of languages) each.setAttribute("aria-pressed", String(each.dataset.language === language));
}

// A page that did not come over TLS has no clipboard: there it is selected, to be copied by hand.
async function copied(page) {
  try {
    await navigator.clipboard.writeText(page.textContent);
    return "Copied";
  } catch {
    getSelection().selectAllChildren(page);
    return "Selected";
  }
}

for (const page of pages) page.textContent = page.textContent.replaceAll("http://nova", location.origin);
for (const box of calls) {
  box.querySelector(".languages").hidden = false;
  const button = box.querySelector(".copy");
  button.addEventListener("click", async () => {
    button.textContent = await copied(box.querySelector("pre:not([hidden])"));
  });
  button.addEventListener("blur", () => { button.textContent = "Copy"; });
}
for (const each of languages) {
  each.addEventListener("click", () => {
    const before = each.getBoundingClientRect().top;
    speak(each.dataset.language);
    // Calls above grew or shrank with it: what was clicked stays under the pointer.
    scrollBy(0, each.getBoundingClientRect().top - before);
  });
}
speak("curl");

const filter = document.querySelector("nav input");
filter.hidden = false;
filter.addEventListener("input", () => {
  const words = filter.value.toLowerCase().split(/\s+/);
  for (const item of document.querySelectorAll("nav li")) {
    const text = item.textContent.toLowerCase();
    item.hidden = !words.every((word) => text.includes(word));
  }
  for (const group of document.querySelectorAll("nav section")) {
    group.hidden = !group.querySelector("li:not([hidden])");
  }
});
