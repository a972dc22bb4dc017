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
#if VM_COVERAGE  // +coverage=FILE takes what was reached (tools/verification/coverage.py)
    context.coveragep()->write(context.commandArgsPlusMatch("coverage=") + sizeof("+coverage"));
#endif
    return 0;
}
