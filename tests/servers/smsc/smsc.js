// A text message centre for the tests: SMPP by the npm package `smpp`, told what to do over HTTP.
//
//   node smsc.js SMPP_PORT CONTROL_PORT [KEY CERTIFICATE]
//
// GET /state returns what came; POST /next sets what happens to the next messages; POST /do acts at once.
"use strict";

const fs = require("fs");
const http = require("http");
const smpp = require("smpp");

const [smppPort, controlPort, key, certificate] = process.argv.slice(2);
const PASSWORD = "let-me-i";
const anew = () => ({ messages: [], binds: 0, refusedBinds: 0, enquiries: 0, answered: 0, receiptStatuses: [], underWay: 0, mostAtOnce: 0 });
let state = anew();
let next = [];
let sessions = [];
let lastId = 0;

function receipt(session, id, stat, pdu) {
  session.deliver_sm(
    {
      esm_class: 4,
      source_addr: pdu.destination_addr,
      destination_addr: pdu.source_addr,
      short_message: `id:${id} sub:001 dlvrd:001 submit date:2611220900 done date:2611220900 stat:${stat} err:000 text:`,
    },
    (answer) => state.receiptStatuses.push(answer.command_status)
  );
}

function submitted(session, pdu) {
  const what = next.shift() || "take";
  if (what === "throttle") return session.send(pdu.response({ command_status: smpp.ESME_RTHROTTLED }));
  if (what === "full") return session.send(pdu.response({ command_status: smpp.ESME_RMSGQFUL }));
  if (what === "refuse") return session.send(pdu.response({ command_status: smpp.ESME_RINVDSTADR }));
  if (what === "nack") return session.send(new smpp.PDU("generic_nack", { command_status: smpp.ESME_RINVCMDID, sequence_number: pdu.sequence_number }));
  if (what === "disconnect") return session.destroy();
  if (what === "silence") return undefined;
  if (what === "nonsense") return session.socket.write(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\nnonsense of no length at all"));
  if (what === "endless") return session.socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 4]));
  if (what === "short") return session.socket.write(Buffer.from([0, 0, 0, 1]));
  if (what === "enquire") session.enquire_link(() => { state.answered += 1; });
  const id = `m${++lastId}`;
  state.messages.push({
    id,
    to: pdu.destination_addr,
    to_type: pdu.dest_addr_ton,
    from: pdu.source_addr,
    from_type: pdu.source_addr_ton,
    coding: pdu.data_coding,
    header: pdu.short_message.udh ? pdu.short_message.udh.map((each) => each.toString("hex")) : [],
    text: pdu.short_message.message,
    registered: pdu.registered_delivery,
    validity: pdu.validity_period,
  });
  if (what === "early") receipt(session, id, "DELIVRD", pdu);
  session.send(pdu.response({ message_id: id }));
  if (pdu.registered_delivery && what !== "early" && what !== "unreceipted") {
    receipt(session, id, what === "undeliverable" ? "UNDELIV" : "DELIVRD", pdu);
  }
  return undefined;
}

// Whatever else came by then is under way at once.
function later(answer) {
  const mine = state;
  mine.underWay += 1;
  mine.mostAtOnce = Math.max(mine.mostAtOnce, mine.underWay);
  setImmediate(() => {
    mine.underWay -= 1;
    answer();
  });
}

function opened(session) {
  sessions.push(session);
  session.on("error", () => session.destroy());
  session.on("close", () => { sessions = sessions.filter((each) => each !== session); });
  session.on("bind_transceiver", (pdu) => {
    const isRight = pdu.system_id === "sparekey" && pdu.password === PASSWORD;
    state[isRight ? "binds" : "refusedBinds"] += 1;
    session.send(pdu.response(isRight ? {} : { command_status: smpp.ESME_RINVPASWD }));
    if (!isRight) session.close();
  });
  session.on("enquire_link", (pdu) => {
    state.enquiries += 1;
    session.send(pdu.response());
  });
  session.on("unbind", (pdu) => {
    session.send(pdu.response());
    session.close();
  });
  session.on("submit_sm", (pdu) => later(() => submitted(session, pdu)));
}

const actions = {
  reset: () => {
    sessions.forEach((session) => session.destroy());
    [state, next, sessions] = [anew(), [], []];
  },
  disconnect: () => sessions.forEach((session) => session.destroy()),
  unbind: () => sessions.forEach((session) => session.unbind()),
  nonsense: () => sessions.forEach((session) => session.socket.write(Buffer.from([0, 0, 0, 16, 0x12, 0x34, 0x56, 0x78, 0, 0, 0, 0, 0, 0, 0, 1]))),
  reply: () => sessions.forEach((session) => session.deliver_sm({ esm_class: 0, source_addr: "12025550143", short_message: "id:m1 stat:DELIVRD" },
    (answer) => state.receiptStatuses.push(answer.command_status))),
};

const secure = key ? { key: fs.readFileSync(key), cert: fs.readFileSync(certificate) } : {};
smpp.createServer(secure, opened).listen(Number(smppPort), "127.0.0.1");

http
  .createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => { body += chunk; });
    request.on("end", () => {
      if (request.url === "/next") next = JSON.parse(body);
      if (request.url === "/do") actions[JSON.parse(body)]();
      response.setHeader("Content-Type", "application/json");
      response.end(JSON.stringify({ ...state, sessions: sessions.length }));
    });
  })
  .listen(Number(controlPort), "127.0.0.1");
