// Plays a stimulus file into the test bench shell tb.v: the driver of `gatefold verify`.
//
// stimulus.txt: one line per input beat, "DRAIN GAP RESET TUSER TLAST DATA". DRAIN > 0: wait until
//     every frame sent so far has come out, then DRAIN cycles more. After GAP cycles more
//     without TVALID the beat is offered. RESET = 1: reset the core after that, then offer the beat.
//     RESET = 2: the GAP begins as the beat before is offered, which the reset may find untaken.
//     In the cycle of a reset a beat is on offer, which is lost.
// stalls.txt: one line per output beat, "STALL": TREADY stays low for STALL cycles after the beat
//     before it, those of a load not counted; when the lines are used up there are no more stalls.
// With +loads a core that loads its weights is reset once during the beats too many of its late load,
// and during the load after about every other reset.
// The run ends when all beats have been sent and every frame has come out, except those that a reset
// took, and a core that loads its weights has taken them twice more. +quiet=N gives up when no beat
// has moved for N cycles, +cycles=N in any case. In the trace,
// "reset CYCLE FRAME_ERROR LOAD_ERROR LOAD_WRONG" tells of a reset, what the error outputs were before
// it and what load_error should have been.
// With +faults=FILE a core that watches itself gets faults instead of beats (tb.v): each line of FILE,
// "JOB WATCHED BIT WORD CYCLE RIGHT REPLAY", is one, and "judged CYCLE VERDICT FOUND BITS" in the trace what came of it;
// the first that is wrong is the last.
// The last line is "end ..." or "hang ...", with the same words.
`timescale 1ns / 1ps

@{drive}
    localparam integer RESET_CYCLES = @{reset_cycles};  // rst high at the start; where asked for, for one
    localparam integer AFTER_CYCLES = @{after_cycles};  // watched after the last frame, for beats too many
    localparam integer LOAD_BEATS = @{load_beats} > 1 ? @{load_beats} - 1 : 1;  // but the last
    localparam integer UNREAD = 2147483647;
    localparam integer FINISHED = 2147483646;

    reg                     rst = 1;
    reg  [@{beat_msb}:0] s_tdata = 0;
    reg                     s_tvalid = 0;
    reg                     s_tlast = 0;
    reg                     s_tuser = 0;
    reg                     m_tready = 0;
    wire                    s_tready, m_tvalid, m_tlast, frame_error;
    wire [@{beat_msb}:0] m_tdata;

    tb bench (
        .clk(clk), .rst(rst), .frame_error(frame_error),
        .s_axis_tdata(s_tdata), .s_axis_tvalid(s_tvalid),
        .s_axis_tready(s_tready), .s_axis_tlast(s_tlast), .s_axis_tuser(s_tuser),
        .m_axis_tdata(m_tdata), .m_axis_tvalid(m_tvalid),
        .m_axis_tready(m_tready), .m_axis_tlast(m_tlast)
    );

    integer stimulus, stalls, quiet_limit, cycles_limit;
    integer gap = UNREAD;
    integer stall = UNREAD;
    integer quiet = 0;   // cycles since a beat moved
    integer drain = 0;
    integer sent = 0;    // frames taken by the core
    integer given = 0;   // frames given by the core, and those that a reset took
    integer resetting = RESET_CYCLES;  // cycles of reset to come
    integer breaks = 1;  // resets during a load to come,
    integer again = @{load_beats} + 2;  // and the beat of the load at which the next one comes
    integer fields;
    integer faults = 0;  // the file of faults to play instead
    reg                     ends = 0;
    reg                     reset_asked = 0;
    reg  [1:0]              next_reset;
    reg                     next_user, next_last;
    reg  [@{beat_msb}:0] next_data;

    initial begin
        if (!$value$plusargs("quiet=%d", quiet_limit)) quiet_limit = 100000;
        if (!$value$plusargs("cycles=%d", cycles_limit)) cycles_limit = 100000000;
        stimulus = $fopen("stimulus.txt", "r");
        stalls = $fopen("stalls.txt", "r");
    end

    // Variables (blocking) are private to this process; what the core sees changes non-blocking.
    always @(posedge clk) begin
        rst <= resetting > 0;
        if (rst && reset_asked) begin
            tell("reset");
            reset_asked = 0;
            given = sent;
            s_tvalid <= 0;
            if (bench.wrong_loads) begin
                breaks = bench.noise[10];
                again = some_beat(bench.noise);
            end
        end
        if (resetting > 0) resetting = resetting - 1;
        if (!rst && faults == 0) begin
            quiet = quiet + 1;
            if (breaks > 0 && bench.load_at == again) begin
                rst <= 1;
                breaks = breaks - 1;
                quiet = 0;
                again = some_beat(bench.noise);
            end
            if ((s_tvalid && s_tready) || (m_tvalid && m_tready)
                || (bench.load_valid && bench.load_ready)) quiet = 0;
            if (s_tvalid && s_tready && s_tlast) sent = sent + 1;
            if (m_tvalid && m_tready && m_tlast) given = given + 1;

            if (gap == UNREAD) begin
                fields = $fscanf(stimulus, "%d %d %d %b %b %h",
                                 drain, gap, next_reset, next_user, next_last, next_data);
                if (fields != 6) gap = FINISHED;
            end
            if (!s_tvalid || s_tready) s_tvalid <= 0;
            if (!s_tvalid || s_tready || (gap != FINISHED && next_reset == 2)) begin
                if (gap != FINISHED && drain > 0) begin
                    if (given >= sent) drain = drain - 1;
                end else if (gap == 0 && next_reset != 0) begin
                    rst <= 1;
                    next_reset = 0;
                    reset_asked = 1;
                    s_tvalid <= 1;
                    s_tlast <= bench.noise[6];
                    s_tdata <= bench.noise_data[@{beat_msb}:0];
                    s_tuser <= bench.noise[8];
                end else if (gap == 0) begin
                    s_tvalid <= 1;
                    s_tlast <= next_last;
                    s_tdata <= next_data;
                    s_tuser <= next_user;
                    gap = UNREAD;
                end else if (gap != FINISHED) begin
                    gap = gap - 1;
                end
            end

            if ((!m_tready || m_tvalid) && bench.opened) begin
                if (stall == UNREAD) begin
                    fields = $fscanf(stalls, "%d", stall);
                    if (fields != 1) stall = 0;
                end
                m_tready <= stall == 0;
                stall = stall == 0 ? UNREAD : stall - 1;
            end

            ends = gap == FINISHED && !s_tvalid && given >= sent && quiet >= AFTER_CYCLES;
            if (ends) bench.last_load <= 1;
            if (ends && bench.last_loaded)
                finish("end");
            else if (quiet >= quiet_limit || bench.cycle >= cycles_limit) finish("hang");
        end
    end

    // Half of them at the end of the load, where biases and scales lie.
    function integer some_beat(input [31:0] noise);
        some_beat = noise[16] && LOAD_BEATS > 16 ? LOAD_BEATS - noise[3:0] : 1 + noise[15:0] % LOAD_BEATS;
    endfunction

@{fault_player}    task tell(input [8*5-1:0] what);
        if (bench.trace_file != 0)
            $fwrite(bench.trace_file, "%0s %0d %b %b %b\n", what, bench.cycle, frame_error,
                    bench.load_error, bench.load_wrong);
    endtask

    task finish(input [8*5-1:0] verdict);
        begin
            tell(verdict);
            if (bench.trace_file != 0) $fclose(bench.trace_file);
            $finish(0);
        end
    endtask

endmodule
