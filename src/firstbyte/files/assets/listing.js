{
const box = document.querySelector("[name=filter]");
const rows = [...document.querySelectorAll("tbody tr:not(.up)")];
const names = rows.map(row => row.querySelector("a").textContent.toLowerCase());
const given = box.value.toLowerCase();
const narrow = () => {
  const wanted = box.value.toLowerCase();
  rows.forEach((row, at) => { row.hidden = !names[at].includes(wanted); });
};
box.addEventListener("input", () => {
  // What the page was filtered by already is not here any more.
  if (box.value.toLowerCase().includes(given)) narrow(); else box.form.submit();
});
document.addEventListener("keydown", event => {
  if (event.key === "/" && document.activeElement === document.body) { event.preventDefault(); box.focus(); }
});
for (const time of document.querySelectorAll("time")) {
  const moment = new Date(time.dateTime);
  const two = number => String(number).padStart(2, "0");
  time.textContent = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())} ${two(moment.getHours())}:${two(moment.getMinutes())}`;
}
const tiles = document.getElementById("tiles");
try {
  tiles.checked = localStorage.getItem("firstbyte-tiles") === "1";
  tiles.addEventListener("change", () => localStorage.setItem("firstbyte-tiles", tiles.checked ? "1" : "0"));
} catch { /* a browser may forbid it: then it is not remembered */ }
}
