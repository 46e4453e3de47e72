// One-way TLS, two-way TLS and pre-shared keys with MQTT.js.
import { readFileSync } from 'node:fs'
import mqtt from 'mqtt'

const [host, port, mode, ...files] = process.argv.slice(2)
const options = { protocol: 'mqtts', host, port: Number(port), protocolVersion: 5, reconnectPeriod: 0 }

if (mode === 'psk') {
  const [identity, key] = files
  options.pskCallback = () => ({ identity, psk: Buffer.from(key, 'hex') })
  options.ciphers = 'PSK'
  options.maxVersion = 'TLSv1.2'
  // A pre-shared key proves both sides: there is no certificate and no name to check.
  options.checkServerIdentity = () => undefined
} else {
  options.ca = readFileSync(files[0])
  if (mode === 'two-way') {
    options.cert = readFileSync(files[1])
    options.key = readFileSync(files[2])
  }
}

const client = mqtt.connect(options)
client.on('error', (error) => {
  console.error(error.message)
  process.exit(1)
})
client.on('message', (topic, payload) => {
  console.log(topic, payload.toString())
  client.end()
})
client.on('connect', async () => {
  await client.subscribeAsync('greetings/#', { qos: 1 })
  await client.publishAsync('greetings/world', 'hello from JavaScript', { qos: 1 })
})
