# What Verilator wrote to build/sim, its run-time library and the device around them, as one library.
# Two of them in one program must share nothing: hence no unique symbols, and no visible ones.
include build/sim/Vgatefold_host_classes.mk

all: libgatefold_sim.so gatefold-simd

CLASSES := $(VM_CLASSES_FAST) $(VM_CLASSES_SLOW) $(VM_SUPPORT_FAST) $(VM_SUPPORT_SLOW)
# A small model is one file to compile: its headers take longer than its code.
ifeq ($(word 16,$(CLASSES)),)
build/sim/model.cpp: build/sim/Vgatefold_host_classes.mk
	for name in $(CLASSES); do echo "#include \"$$name.cpp\""; done > $@
NAMES := model
else
NAMES := $(CLASSES)
endif
NAMES += $(VM_GLOBAL_FAST) $(VM_GLOBAL_SLOW) gatefold_sim
OBJECTS := $(sort $(NAMES:%=build/sim/%.o))
FLAGS := -std=gnu++17 -fPIC -fno-gnu-unique $(SIM_CXXFLAGS) -DVL_USER_FATAL -DVL_USER_WARN \
	-DVL_IGNORE_UNKNOWN_ARCH -Ibuild/sim -Ibuild/include -Ibuild/include/vltstd -Isim

vpath %.cpp build/sim build/include sim

build/sim/%.o: %.cpp
	$(CXX) $(FLAGS) -c $< -o $@

build/sim/gatefold_sim.o: sim/gatefold_sim.h sim/settings.h

libgatefold_sim.so: $(OBJECTS) sim/exports.map
	$(CXX) -shared -pthread -Wl,--wrap=fopen -Wl,-Bsymbolic -Wl,--version-script=sim/exports.map \
		-o $@ $(OBJECTS)

gatefold-simd: sim/simd.c libgatefold_sim.so
	$(CC) -std=c11 -Wall -Wextra -Werror -O2 -Isim $< -L. -lgatefold_sim \
		-Wl,-rpath,'$$ORIGIN' -o $@
