"""The golden model, the simulators and the test bench, which check the Verilog against golden."""
