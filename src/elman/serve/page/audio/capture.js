// Runs in the audio thread: gathers the samples of a microphone into blocks of 16-bit PCM, with their loudness.

class Capture extends AudioWorkletProcessor {
  constructor({ processorOptions }) {
    super();
    this.size = processorOptions.size;
    this.block = new Int16Array(this.size);
    this.count = 0;
    this.peak = 0;
  }

  process([channels]) {
    const samples = channels[0] ?? [];
    for (const sample of samples) {
      this.peak = Math.max(this.peak, Math.abs(sample));
      this.block[this.count] = Math.round(32767 * Math.min(Math.max(sample, -1), 1));
      this.count += 1;
      if (this.count === this.size) this.hand();
    }
    return true;
  }

  hand() {
    const { buffer } = this.block;
    this.port.postMessage({ buffer, peak: this.peak }, [buffer]);
    this.block = new Int16Array(this.size);
    this.count = 0;
    this.peak = 0;
  }
}

registerProcessor("capture", Capture);
