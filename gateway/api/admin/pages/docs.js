// Filters the operations by what is typed, and copies examples. The page is whole without it.
"use strict";

const articles = [...document.querySelectorAll("article")];
const links = [...document.querySelectorAll("nav li")];

const field = document.createElement("input");
field.type = "search";
field.placeholder = "Filter";
field.setAttribute("aria-label", "Filter the operations");
field.addEventListener("input", () => {
  const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
  const matches = (node) => words.every((word) => node.textContent.toLowerCase().includes(word));
  const shown = new Set(articles.filter(matches).map((article) => article.id));
  articles.forEach((article) => { article.hidden = !shown.has(article.id); });
  links.forEach((link) => { link.hidden = !shown.has(link.querySelector("a").hash.slice(1)); });
});
document.querySelector("nav").prepend(field);

if (navigator.clipboard) {
  for (const example of document.querySelectorAll("pre.example")) {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      await navigator.clipboard.writeText(example.querySelector("code").textContent);
      button.textContent = "Copied";
    });
    example.append(button);
  }
}
