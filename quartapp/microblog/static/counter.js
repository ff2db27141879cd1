// Counts while somebody types. Without it the hint says the limit, and the server counts.
// The rules of quartapp.microblog.models.text: line ends and white space count as they are kept.
const box = document.querySelector(".compose textarea");
const hint = document.getElementById(`${box.id}-hint`);
const limit = Number(hint.textContent.match(/\d+/)[0]);

function count() {
  const kept = box.value.replace(/\n[ \t]*\n\s*\n/g, "\n\n").trim();
  const left = limit - [...kept].length;
  const number = Math.abs(left);
  const characters = number === 1 ? "character" : "characters";
  hint.textContent = `${number} ${characters} ${left < 0 ? "too many" : "left"}.`;
  hint.classList.toggle("error", left < 0);
}

box.addEventListener("input", count);
count();
