"""The golden model, the simulators and the test bench: is the Verilog what docs/numbers.md says?"""
