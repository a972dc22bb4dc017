// Clock for drive.v under Verilator: cheaper than the coroutines that `#5` would cost.
#include "Vdrive.h"
#include "verilated.h"

int main(int argc, char** argv) {
    VerilatedContext context;
    context.commandArgs(argc, argv);
    Vdrive top{&context};
    while (!context.gotFinish()) {
        top.clk = !top.clk;
        top.eval();
        context.timeInc(5);
    }
    top.final();
    return 0;
}
