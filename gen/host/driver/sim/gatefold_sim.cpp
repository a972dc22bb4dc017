// The simulated device: the exported Verilog with its registers and its master, and a memory.
//
// The memory answers reads in order, each GATEFOLD_SIM_LATENCY cycles after its address (30 if not
// set), a word a cycle. Environment variables provoke what a board may do:
//   GATEFOLD_SIM_STALL=P       P per cent of the cycles, seeded, in which no channel moves
//   GATEFOLD_SIM_FAULT=read    reads get an error response;  write: writes do;
//                      dead    nothing moves at the memory
//   GATEFOLD_SIM_FAULT_CYCLES=FROM-TO   the cycles, counted from the reset, in which that is so
#include "gatefold_sim.h"

#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "Vgatefold_host.h"
#include "settings.h"
#include "verilated.h"

namespace {

constexpr uint64_t kMemoryAt = UINT64_C(0x880000000);  // above 32 bits, as on a board
constexpr size_t kMemorySize = GF_SIM_MEMORY;
constexpr unsigned kPatience = 4096;  // cycles for a register access
constexpr int kResetCycles = 8;
constexpr int kErrorResponse = 2, kDecodeError = 3;

thread_local std::string folder_of_images;

std::string setting(const char *name) {
    const char *text = std::getenv(name);
    return text ? text : "";
}
uint64_t setting(const char *name, uint64_t otherwise) {
    const std::string text = setting(name);
    return text.empty() ? otherwise : std::strtoull(text.c_str(), nullptr, 10);
}

struct Burst {
    uint64_t address;
    unsigned left;  // words
    uint64_t due;   // cycle of the first word, or of the response
};

// The ports of Verilator are bytes in little-endian order, whatever their type.
template <typename Port>
void put(Port &port, const void *bytes, size_t size) { std::memcpy(&port, bytes, size); }
template <typename Port>
void get(const Port &port, void *bytes, size_t size) { std::memcpy(bytes, &port, size); }

}  // namespace

// The Verilog asks for images in the folder GATEFOLD_WEIGHTS: it is that of the core, wherever the
// core lies now.
extern "C" FILE *__real_fopen(const char *path, const char *mode);
extern "C" FILE *__wrap_fopen(const char *path, const char *mode) {
    static const char kMark[] = "gatefold-weights/";
    if (std::strncmp(path, kMark, sizeof kMark - 1) != 0) return __real_fopen(path, mode);
    return __real_fopen((folder_of_images + "/weights/" + (path + sizeof kMark - 1)).c_str(), mode);
}

// A memory image that is missing must neither end the user's program nor go unnoticed.
void vl_fatal(const char *file, int, const char *, const char *message) {
    throw std::runtime_error(std::string(file) + ": " + message);
}
void vl_warn(const char *file, int line, const char *hierarchy, const char *message) {
    vl_fatal(file, line, hierarchy, message);
}

struct gf_sim_device {
    std::unique_ptr<VerilatedContext> context{new VerilatedContext};
    std::unique_ptr<Vgatefold_host> top{new Vgatefold_host{context.get()}};
    std::vector<uint8_t> memory = std::vector<uint8_t>(kMemorySize);
    std::deque<Burst> reads, writes, responses;
    uint64_t cycles = 0, quiet = 0, random = 1;
    const uint64_t latency = setting("GATEFOLD_SIM_LATENCY", 30);
    const uint64_t stall = setting("GATEFOLD_SIM_STALL", 0);
    const std::string fault_set = setting("GATEFOLD_SIM_FAULT");
    std::string fault;  // what is wrong now
    uint64_t fault_from = 0, fault_to = UINT64_MAX;

    gf_sim_device() {
        const std::string range = setting("GATEFOLD_SIM_FAULT_CYCLES");
        if (const size_t dash = range.find('-'); dash != std::string::npos) {
            fault_from = std::strtoull(range.c_str(), nullptr, 10);
            fault_to = std::strtoull(range.c_str() + dash + 1, nullptr, 10);
        }
    }

    bool stalled() {
        random ^= random << 13, random ^= random >> 7, random ^= random << 17;
        return random % 100 < stall;
    }

    // The bytes of a word, or null outside the memory.
    uint8_t *at(uint64_t address) {
        address -= address % GF_SIM_PORT_BYTES;
        return address < kMemoryAt || address - kMemoryAt > kMemorySize - GF_SIM_PORT_BYTES
                   ? nullptr : &memory[address - kMemoryAt];
    }

    // What the memory offers in the next cycle.
    void offer() {
        Vgatefold_host &t = *top;
        fault = cycles >= fault_from && cycles < fault_to ? fault_set : "";
        const bool dead = fault == "dead", still = stall && stalled();
        t.m_axi_gmem_arready = !dead && !still;
        t.m_axi_gmem_awready = !dead && !still;
        t.m_axi_gmem_wready = !dead && !writes.empty() && !(stall && stalled());
        if (!dead && !t.m_axi_gmem_rvalid && !reads.empty() && reads.front().due <= cycles
            && !(stall && stalled())) {
            const Burst &burst = reads.front();
            static const uint8_t nothing[GF_SIM_PORT_BYTES] = {};
            const uint8_t *word = at(burst.address);
            const bool wrong = fault == "read";
            put(t.m_axi_gmem_rdata, word && !wrong ? word : nothing, GF_SIM_PORT_BYTES);
            t.m_axi_gmem_rresp = wrong ? kErrorResponse : word ? 0 : kDecodeError;
            t.m_axi_gmem_rlast = burst.left == 1;
            t.m_axi_gmem_rvalid = 1;
        }
        if (!dead && !t.m_axi_gmem_bvalid && !responses.empty() && responses.front().due <= cycles) {
            const uint8_t *word = at(responses.front().address);
            t.m_axi_gmem_bresp = fault == "write" ? kErrorResponse : word ? 0 : kDecodeError;
            t.m_axi_gmem_bvalid = 1;
        }
    }

    // One cycle: what is offered now moves at its end.
    void step() {
        Vgatefold_host &t = *top;
        t.clk = 0;
        t.eval();
        const bool ar = t.m_axi_gmem_arvalid && t.m_axi_gmem_arready;
        const bool aw = t.m_axi_gmem_awvalid && t.m_axi_gmem_awready;
        const bool w = t.m_axi_gmem_wvalid && t.m_axi_gmem_wready;
        const bool r = t.m_axi_gmem_rvalid && t.m_axi_gmem_rready;
        const bool b = t.m_axi_gmem_bvalid && t.m_axi_gmem_bready;
        const Burst read{t.m_axi_gmem_araddr, t.m_axi_gmem_arlen + 1u, cycles + latency};
        const Burst write{t.m_axi_gmem_awaddr, t.m_axi_gmem_awlen + 1u, 0};
        uint8_t data[GF_SIM_PORT_BYTES];
        uint64_t strobes = 0;
        get(t.m_axi_gmem_wdata, data, sizeof data);
        get(t.m_axi_gmem_wstrb, &strobes, sizeof t.m_axi_gmem_wstrb);
        t.clk = 1;
        t.eval();
        cycles++;
        quiet = ar || aw || w || r || b ? 0 : quiet + 1;
        if (ar) reads.push_back(read);
        if (aw) writes.push_back(write);
        if (w) store(data, strobes);
        if (r) {
            t.m_axi_gmem_rvalid = 0;
            reads.front().address += GF_SIM_PORT_BYTES;
            if (--reads.front().left == 0) reads.pop_front();
        }
        if (b) t.m_axi_gmem_bvalid = 0, responses.pop_front();
        offer();
    }

    void store(const uint8_t *data, uint64_t strobes) {
        Burst &burst = writes.front();
        if (uint8_t *word = at(burst.address); word && fault != "write")
            for (unsigned n = 0; n < GF_SIM_PORT_BYTES; n++)
                if (strobes >> n & 1) word[n] = data[n];
        if (--burst.left == 0) {
            responses.push_back({burst.address, 0, cycles + latency});
            writes.pop_front();
        } else {
            burst.address += GF_SIM_PORT_BYTES;
        }
    }

    void reset() {
        top->rst = 1;
        for (int n = 0; n < kResetCycles; n++) step();
        top->rst = 0;
        cycles = 0;
        step();
    }
};

gf_sim_device *gf_sim_open(const char *folder, char *why, size_t why_size) {
    try {
        folder_of_images = folder;
        std::unique_ptr<gf_sim_device> device{new gf_sim_device};
        device->reset();
        return device.release();
    } catch (const std::exception &error) {
        std::snprintf(why, why_size, "the simulated core does not start: %s", error.what());
        return nullptr;
    }
}

void gf_sim_close(gf_sim_device *device) { delete device; }

unsigned gf_sim_version(void) { return GF_SIM_VERSION; }

int gf_sim_read(gf_sim_device *device, uint32_t offset, uint32_t *value) {
    Vgatefold_host &t = *device->top;
    t.s_axi_control_araddr = offset;
    t.s_axi_control_arvalid = 1;
    t.s_axi_control_rready = 1;
    bool taken = false, answered = false;
    int response = -1;
    for (unsigned n = 0; n < kPatience && !answered; n++) {
        t.clk = 0;
        t.eval();
        taken = t.s_axi_control_arvalid && t.s_axi_control_arready;
        answered = t.s_axi_control_rvalid;
        if (answered) {
            *value = t.s_axi_control_rdata;
            response = t.s_axi_control_rresp;
        }
        device->step();
        if (taken) t.s_axi_control_arvalid = 0;
    }
    t.s_axi_control_arvalid = t.s_axi_control_rready = 0;
    return response;
}

int gf_sim_write(gf_sim_device *device, uint32_t offset, uint32_t value) {
    device->quiet = 0;  // it may start something
    Vgatefold_host &t = *device->top;
    t.s_axi_control_awaddr = offset;
    t.s_axi_control_wdata = value;
    t.s_axi_control_wstrb = 0xF;
    t.s_axi_control_awvalid = t.s_axi_control_wvalid = t.s_axi_control_bready = 1;
    bool answered = false;
    int response = -1;
    for (unsigned n = 0; n < kPatience && !answered; n++) {
        t.clk = 0;
        t.eval();
        const bool address = t.s_axi_control_awvalid && t.s_axi_control_awready;
        const bool data = t.s_axi_control_wvalid && t.s_axi_control_wready;
        answered = t.s_axi_control_bvalid;
        if (answered) response = t.s_axi_control_bresp;
        device->step();
        if (address) t.s_axi_control_awvalid = 0;
        if (data) t.s_axi_control_wvalid = 0;
    }
    t.s_axi_control_awvalid = t.s_axi_control_wvalid = t.s_axi_control_bready = 0;
    return response;
}

uint8_t *gf_sim_memory(gf_sim_device *device, uint64_t *address, size_t *size) {
    *address = kMemoryAt;
    *size = device->memory.size();
    return device->memory.data();
}

void gf_sim_run(gf_sim_device *device, uint64_t cycles) {
    const uint64_t end = device->cycles + cycles;
    // Verilator's name for a port whose own is a word of C++.
    while (device->cycles < end && !device->top->__SYM__interrupt) {
        const bool heals = !device->fault.empty() && device->fault_to != UINT64_MAX;
        if (!heals && device->quiet > GF_SIM_QUIET + device->latency) {  // nothing will happen any more: time only passes
            device->cycles = end;
            return;
        }
        device->step();
    }
}

uint64_t gf_sim_cycles(const gf_sim_device *device) { return device->cycles; }

uint64_t gf_sim_frequency(const gf_sim_device *) { return GF_SIM_HZ; }
