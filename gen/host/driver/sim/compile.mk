# What Verilator wrote to build/sim, its run-time library and the device around them, as one library.
# Two of them in one program must share nothing: hence no unique symbols, and no visible ones.
include build/sim/Vgatefold_host_classes.mk

NAMES := $(VM_CLASSES_FAST) $(VM_CLASSES_SLOW) $(VM_SUPPORT_FAST) $(VM_SUPPORT_SLOW) \
	$(VM_GLOBAL_FAST) $(VM_GLOBAL_SLOW) gatefold_sim
OBJECTS := $(sort $(NAMES:%=build/sim/%.o))
FLAGS := -std=gnu++17 -fPIC -fno-gnu-unique $(SIM_CXXFLAGS) -DVL_USER_FATAL \
	-DVL_IGNORE_UNKNOWN_ARCH -Ibuild/sim -Ibuild/include -Ibuild/include/vltstd -Isim

vpath %.cpp build/sim build/include sim

all: libgatefold_sim.so gatefold-simd

build/sim/%.o: %.cpp
	$(CXX) $(FLAGS) -c $< -o $@

build/sim/gatefold_sim.o: sim/gatefold_sim.h sim/settings.h

libgatefold_sim.so: $(OBJECTS) sim/exports.map
	$(CXX) -shared -pthread -Wl,--wrap=fopen -Wl,-Bsymbolic -Wl,--version-script=sim/exports.map \
		-o $@ $(OBJECTS)

gatefold-simd: sim/simd.c libgatefold_sim.so
	$(CC) -std=c11 -Wall -Wextra -Werror -O2 -Isim $< ./libgatefold_sim.so \
		-Wl,-rpath,'$$ORIGIN' -o $@
