// The microphone, as blocks of 16-bit PCM.

const BLOCK_SECONDS = 0.1;
const WHY = {
  NotAllowedError:
    "the browser was not allowed to use the microphone: allow it beside the address, and try again",
  NotFoundError: "there is no microphone: connect one, or drop a recording",
  NotReadableError: "another program uses the microphone: close it there, and try again",
};

/** Call `heard(buffer, peak)` with every block until `stop()`. The rate is the one asked for where the browser can. */
export async function listen(rate, heard) {
  if (!navigator.mediaDevices) {
    throw new Error(
      "browsers give the microphone to secure pages alone: open this page as localhost, or over https",
    );
  }
  let media;
  try {
    media = await navigator.mediaDevices.getUserMedia({ audio: { channelCount: 1 } });
  } catch (error) {
    throw new Error(WHY[error.name] || error.message);
  }
  let [context, source] = [null, null];
  try {
    context = new AudioContext({ sampleRate: rate });
    source = context.createMediaStreamSource(media);
  } catch {
    // a browser that does not resample a microphone: the server does
    await context?.close();
    context = new AudioContext();
    source = context.createMediaStreamSource(media);
  }
  await context.audioWorklet.addModule(new URL("./capture.js", import.meta.url));
  const size = Math.round(context.sampleRate * BLOCK_SECONDS);
  const node = new AudioWorkletNode(context, "capture", { processorOptions: { size } });
  node.port.onmessage = ({ data }) => heard(data.buffer, data.peak);
  source.connect(node).connect(context.destination); // the node is silent; unconnected, it would not run
  return {
    rate: context.sampleRate,
    async stop() {
      for (const track of media.getTracks()) track.stop();
      node.port.onmessage = null;
      await context.close();
    },
  };
}

/** Return the samples of a recording of any kind that the browser knows, mixed to one channel, at a rate. */
export async function decode(file, rate) {
  const context = new OfflineAudioContext(1, 1, rate);
  let sound;
  try {
    sound = await context.decodeAudioData(await file.arrayBuffer());
  } catch {
    throw new Error(`${file.name} is no recording that this browser can read: try WAV, MP3, FLAC or Ogg`);
  }
  const mixed = new Float32Array(sound.length);
  for (let channel = 0; channel < sound.numberOfChannels; channel += 1) {
    const samples = sound.getChannelData(channel);
    for (let k = 0; k < samples.length; k += 1) mixed[k] += samples[k] / sound.numberOfChannels;
  }
  return Int16Array.from(mixed, (sample) => Math.round(32767 * Math.min(Math.max(sample, -1), 1)));
}
