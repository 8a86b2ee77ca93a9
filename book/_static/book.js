/* One switch a page for the notebook's code, which the style sheet hides. Without this script it stays hidden. */
document.addEventListener("DOMContentLoaded", () => {
  const button = document.querySelector(".repro-notebook button");
  if (!button) return;
  button.hidden = false;
  button.addEventListener("click", () => {
    const shown = document.documentElement.classList.toggle("repro-code");
    button.setAttribute("aria-pressed", String(shown));
    button.textContent = shown ? "Hide the notebook" : "Show the notebook";
  });
});
