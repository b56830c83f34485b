// A variable of the host, which the emulator would take for shared memory.
int next_number() {
  static int counter = next_number();
  return ++counter;
}
