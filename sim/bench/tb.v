// Test bench shell of a Gatefold core. Icarus Verilog 11 and Verilator read it.
//
// It counts cycles, notes when frames enter and leave, and whether the core holds a beat that it
// offers until it is taken (`unstable`). While s_axis_tvalid is low, the core sees noise on the other
// signals of the stream, which mean nothing then. With +trace=FILE writes what it sees, one line an event:
//
//     in CYCLE                          the first beat of a frame was taken
//     out CYCLE TLAST DATA              a beat was given (DATA in hexadecimal)
//     unstable CYCLE TVALID             a beat that was offered fell or changed before it was taken
//     starved CYCLE                     a load waits, and frames pass it
//     unloaded CYCLE                    a frame goes in, although the core has no weights
//     start CYCLE TREADY                the core takes input too early after a reset, or not yet
//     load CYCLE LOAD_ERROR             load_error is not what it must be
//     frame CYCLE FRAME_ERROR           frame_error is not what it must be
//     fault CYCLE BITS                  the port `fault` of a core with --protect is not zero
//     state MASK h0 c0 h1 c1 ...        the lanes in MASK (hexadecimal) hold new results h and, of a
//                                       layer that has one, their states c (decimal)
//     sums r0 r1 r2 r3 ...              with +sums: the accumulators of four rows for each lane, of
//                                       which one element may need fewer, some cycles before the
//                                       state line of their element
//
// What a state line is about: the n-th of a frame is the n-th entry of trace.events in ../core.json,
// [layer, first, count]: lane l < count holds element first + l of the values that this layer makes
// in a frame; layer -1 is a step in between. s_axis_tuser is for cores that keep their state from
// frame to frame ("stateful" in ../core.json), others have no such port: 1 with the first beat of a
// frame begins a new sequence. Generated for @{lanes} lanes by Gatefold; yours to change.
`timescale 1ns / 1ps

module tb (
    input  wire                     clk,
    input  wire                     rst,
    input  wire [@{beat_msb}:0] s_axis_tdata,
    input  wire                     s_axis_tvalid,
    output wire                     s_axis_tready,
    input  wire                     s_axis_tlast,
    input  wire                     s_axis_tuser,
    output wire [@{beat_msb}:0] m_axis_tdata,
    output wire                     m_axis_tvalid,
    input  wire                     m_axis_tready,
    output wire                     m_axis_tlast,
    output wire                     frame_error
);

    reg  [31:0] noise = 32'h2545f491;
    wire [@{noise_words}*32-1:0] noise_data = {@{noise_words}{noise}};
    always @(posedge clk)
        noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};

    wire m_valid;
    wire [3:0] fault@{no_fault};  // what a core that watches itself has found
@{load_feeder}@{guard}    gatefold dut (
        .clk(clk),
        .rst(rst || guard_rst),
        .s_axis_tdata(guard_valid ? guard_data[@{beat_msb}:0]
                      : s_axis_tvalid ? s_axis_tdata : noise_data[@{beat_msb}:0]),
        .s_axis_tvalid(s_axis_tvalid || guard_valid),
        .s_axis_tready(s_axis_tready),
        .s_axis_tlast(guard_valid ? guard_last : s_axis_tvalid ? s_axis_tlast : noise[5]),@{user_port}
        .m_axis_tdata(m_axis_tdata),
        .m_axis_tvalid(m_valid),
        .m_axis_tready(playing ? guard_ready : m_axis_tready),
        .m_axis_tlast(m_axis_tlast),@{load_ports}@{fault_port}
        .frame_error(frame_error)
    );

    assign m_axis_tvalid = m_valid && !playing && !tampered;
@{sum_wires}    wire in_beat  = s_axis_tvalid && s_axis_tready && !rst;
    wire out_beat = m_axis_tvalid && m_axis_tready && !rst;

    reg [31:0] cycle = 0;           // free-running, never reset
    reg        in_frame = 0;        // between the first and the last beat of an input frame
    reg [31:0] frames_in = 0;       // frames taken whole since reset
    reg [31:0] frames_out = 0;      // frames given whole since reset
    reg [31:0] first_in_cycle = 0;  // when the newest input frame's first beat was taken
    reg [31:0] last_out_cycle = 0;  // when the newest output frame's last beat was given
    reg [31:0] interval = 0;        // from the output frame before it to that one

    always @(posedge clk) begin
        cycle <= cycle + 1;
        if (rst) begin
            in_frame <= 0;
            frames_in <= 0;
            frames_out <= 0;
        end
        if (in_beat) begin
            in_frame <= !s_axis_tlast;
            if (!in_frame) first_in_cycle <= cycle;
            if (s_axis_tlast) frames_in <= frames_in + 1;
        end
        if (out_beat && m_axis_tlast) begin
            frames_out <= frames_out + 1;
            last_out_cycle <= cycle;
            interval <= cycle - last_out_cycle;
        end
    end

    // A beat that was not taken must stay as it is.
    reg                     held = 0;
    reg                     held_last;
    reg  [@{beat_msb}:0] held_data;
    wire                    changes = held && !rst && (m_axis_tvalid !== 1'b1
                                   || m_axis_tlast !== held_last || m_axis_tdata !== held_data);
    reg                     unstable = 0;  // since the start, resets included

    always @(posedge clk) begin
        held <= m_axis_tvalid === 1'b1 && !m_axis_tready && !rst;
        held_last <= m_axis_tlast;
        held_data <= m_axis_tdata;
        if (changes) unstable <= 1;
    end

    // A load that waits gets its turn after a frame, which another may follow closely.
    reg [2:0]               passed = 0;   // frames that began while a load waited
    wire                    starves = passed > 3;
    reg                     starved = 0;  // since the start
    always @(posedge clk) begin
        if (rst || !load_valid || load_ready) passed <= 0;
        else if (in_beat && !in_frame && !starves) passed <= passed + 1;
        if (starves) starved <= 1;
    end

    // A core that waits for its weights takes no frame.
    wire                    goes_in = in_beat && !opened;
    reg                     unloaded = 0;  // since the start
    always @(posedge clk) if (goes_in) unloaded <= 1;

    // After a reset a core takes no input for START cycles, and then it does; but one that loads its
    // weights may take longer.
    localparam integer      START = @{start};  // 0: not known
    integer                 awake = 0;    // cycles after the reset, at most START
    wire                    off = !rst && !playing && !tampered && START != 0
                                && (awake < START ? s_axis_tready !== 0
                                    : awake == START && @{load_beats} == 0 && s_axis_tready !== 1);
    reg                     off_start = 0;  // since the start
    always @(posedge clk) begin
        if (rst) awake <= 0;
        else if (awake <= START) awake <= awake + 1;
        if (off) off_start <= 1;
    end

    reg [3:0]               doubts = 0;   // cycles that load_error was not what it must be
    wire                    misled = &doubts;  // for too long, since the start
    always @(posedge clk)
        if (!misled) doubts <= rst || load_error === load_wrong ? 0 : doubts + 1;

    // The same for frame_error.
    localparam integer      BEATS_IN = @{beats_in};
    integer                 in_at = 0;        // beats of the frame under way, at most BEATS_IN
    reg                     frame_wrong = 0;  // what frame_error must be
    reg [3:0]               frame_doubts = 0;
    wire                    misjudged = &frame_doubts;
    always @(posedge clk) begin
        if (rst) frame_wrong <= 0;
        else if (in_beat && s_axis_tlast != (in_at == BEATS_IN - 1) && in_at < BEATS_IN)
            frame_wrong <= 1;
        if (rst || (in_beat && s_axis_tlast)) in_at <= 0;
        else if (in_beat && in_at < BEATS_IN) in_at <= in_at + 1;
        if (!misjudged) frame_doubts <= rst || frame_error === frame_wrong ? 0 : frame_doubts + 1;
    end

    // Nothing is wrong, but what was made so since the last reset.
    wire                    alarms = !rst && fault !== 0 && !tampered;
    reg                     faulted = 0;  // since the start
    always @(posedge clk) if (alarms) faulted <= 1;

    reg [8*256-1:0] trace_name;
    integer         trace_file = 0;

    reg             sums_traced = 0;

    initial begin
        if ($value$plusargs("trace=%s", trace_name)) trace_file = $fopen(trace_name, "w");
        if ($test$plusargs("sums")) sums_traced = 1;
    end

    always @(posedge clk) if (trace_file != 0) begin
        if (in_beat && !in_frame) $fwrite(trace_file, "in %0d\n", cycle);
        if (changes) $fwrite(trace_file, "unstable %0d %b\n", cycle, m_axis_tvalid);
        if (doubts == 14) $fwrite(trace_file, "load %0d %b\n", cycle, load_error);
        if (frame_doubts == 14) $fwrite(trace_file, "frame %0d %b\n", cycle, frame_error);
        if (goes_in && !unloaded) $fwrite(trace_file, "unloaded %0d\n", cycle);
        if (off && !off_start) $fwrite(trace_file, "start %0d %b\n", cycle, s_axis_tready);
        if (starves && !starved) $fwrite(trace_file, "starved %0d\n", cycle);
        if (alarms && !faulted) $fwrite(trace_file, "fault %0d %b\n", cycle, fault);
        if (out_beat) $fwrite(trace_file, "out %0d %b %h\n", cycle, m_axis_tlast, m_axis_tdata);
        if (dut.core.trace__valid && !rst && !tampered) begin
            $fwrite(trace_file, "state %h", dut.core.trace__lanes);
@{lane_writes}
            $fwrite(trace_file, "\n");
        end
@{sum_writes}    end

endmodule
