// The task list: every change is a request to the API, and the list shows what the server then says.
const list = document.querySelector("#tasks");
const error = document.querySelector("#error");

async function ask(method, path, body) {
  const response = await fetch(path, {
    method,
    headers: body && { "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const answer = response.status === 204 ? null : await response.json();
  if (!response.ok) throw new Error(answer.detail ?? answer.title);
  return answer;
}

async function act(...request) {
  error.textContent = "";
  try {
    if (request.length) await ask(...request);
    show(await ask("GET", "/tasks"));
    return true;
  } catch (problem) {
    error.textContent = problem instanceof TypeError ? "The server cannot be reached." : problem.message;
    return false;
  }
}

function show(tasks) {
  list.replaceChildren(...tasks.map(item));
  const open = tasks.filter((task) => !task.done).length;
  document.querySelector("#count").textContent = tasks.length ? `${open} of ${tasks.length} to do` : "";
  document.querySelector("#empty").hidden = tasks.length > 0;
}

function item(task) {
  const row = document.createElement("li");
  row.className = task.done ? "done" : "";
  const label = document.createElement("label");
  const box = document.createElement("input");
  box.type = "checkbox";
  box.checked = task.done;
  box.onchange = () => act("PATCH", `/tasks/${task.id}`, { done: box.checked });
  const title = document.createElement("span");
  title.textContent = task.title;
  label.append(box, title);
  const remove = document.createElement("button");
  remove.textContent = "Remove";
  remove.setAttribute("aria-label", `Remove ${task.title}`);
  remove.onclick = () => act("DELETE", `/tasks/${task.id}`);
  row.append(label, remove);
  return row;
}

document.querySelector("#add").onsubmit = async (event) => {
  event.preventDefault();
  const form = event.target;
  if (await act("POST", "/tasks", { title: form.title.value })) form.reset();
};

act();
