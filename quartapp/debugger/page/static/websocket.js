"use strict";
// Opens the WebSocket of a page of /break/, sends two messages, and shows what it hears.

const button = document.querySelector("#connect");
const heard = document.querySelector("#heard");

button.addEventListener("click", () => {
  const address = new URL(button.dataset.path, location.href);
  address.protocol = address.protocol.replace("http", "ws");
  const socket = new WebSocket(address);
  socket.addEventListener("open", () => socket.send("hello"));
  socket.addEventListener("message", (event) => {
    heard.textContent = `The server said: ${event.data}.`;
    socket.send("once more");
  });
  socket.addEventListener("close", (event) => {
    heard.textContent += ` It closed the connection with the code ${event.code}.`;
  });
});
