// Subscribe, publish at QoS 0, 1 and 2, print each message that comes back as a line of JSON, end.
// node client.js URL PROTOCOL_VERSION CA_FILE TOPIC
"use strict";

const fs = require("node:fs");
const mqtt = require("mqtt");

const [url, version, caFile, topic] = process.argv.slice(2);
const levels = [0, 1, 2];
let arrived = 0;

function fail(error) {
  console.error(String(error && error.stack ? error.stack : error));
  process.exit(1);
}

const client = mqtt.connect(url, {
  protocolVersion: Number(version),
  ca: fs.readFileSync(caFile),
  rejectUnauthorized: true,
  reconnectPeriod: 0,
  connectTimeout: 10000,
});

client.on("error", fail);
client.on("close", () => {
  if (arrived < levels.length) fail(new Error("closed after " + arrived + " messages"));
});
client.on("connect", () => {
  client.subscribe(topic + "/#", { qos: 2 }, (error, granted) => {
    if (error) return fail(error);
    console.log(JSON.stringify({ granted: granted.map((each) => each.qos) }));
    for (const qos of levels) {
      const options = { qos };
      if (version === "5") {
        options.properties = { contentType: "text/plain", userProperties: { level: String(qos) } };
      }
      client.publish(topic + "/" + qos, "hello " + qos, options, (problem) => {
        if (problem) fail(problem);
      });
    }
  });
});
client.on("message", (name, payload, packet) => {
  const properties = packet.properties || {};
  console.log(
    JSON.stringify({
      topic: name,
      payload: payload.toString(),
      qos: packet.qos,
      contentType: properties.contentType || null,
      level: (properties.userProperties || {}).level || null,
    }),
  );
  arrived += 1;
  if (arrived === levels.length) client.end(false, {}, () => process.exit(0));
});
