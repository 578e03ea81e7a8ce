// The WebSocket: every message gets one answer, in order.

const token = new URLSearchParams(location.search).get("token");

// A URL of this server, with the token of the page's own URL.
export function address(path) {
  const url = new URL(path, location.href);
  if (token) url.searchParams.set("token", token);
  return url;
}

export class Connection {
  // whenClosed(text) is called when the server or the network closed the connection.
  constructor(whenClosed) {
    this.whenClosed = whenClosed;
    this.waiting = [];
    this.first = null; // promise of the first message; null without a connection
  }

  get alive() {
    return this.socket?.readyState === WebSocket.OPEN;
  }

  // Connect, unless connected; resolves to the server's first message, with the offered models.
  open() {
    this.first ??= this.connect();
    return this.first;
  }

  connect() {
    const url = address("ws");
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.onmessage = (event) => this.receive(JSON.parse(event.data));
    this.socket.onclose = (event) => this.closed(event.reason || "The server cannot be reached.");
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  // Send a JPEG (a Blob) or a command (an object); resolves to the answer.
  ask(message) {
    if (!this.alive) return Promise.reject(new Error("not connected"));
    this.socket.send(message instanceof Blob ? message : JSON.stringify(message));
    return new Promise((resolve, reject) => this.waiting.push({ resolve, reject }));
  }

  receive(answer) {
    const asked = this.waiting.shift();
    if (answer.type === "error") asked?.reject(new Error(answer.text));
    else asked?.resolve(answer);
  }

  closed(text) {
    this.first = null;
    for (const { reject } of this.waiting.splice(0)) reject(new Error(text));
    this.whenClosed(text);
  }
}
