// Plays descriptors on gatefold_host, with a memory: the bench of `gatefold verify` for a core with
// registers.
//
// script.hex: one word a line, OFF (4 bits) OP (4 bits) ADDRESS (16 bits) VALUE (32 bits).
//     OP 0: the end. 1: write VALUE to the register, without the bytes that are 1 in OFF. 2: read
//     it, "read VALUE" goes to log.txt.
//     3: wait until AP_DONE is 1, and write AP_CONTINUE, unless bit 1 of VALUE is 1. Bit 0: no other
//     descriptor writes, so memory must have confirmed everything. 4: wait VALUE cycles.
//     5: from now on memory pauses in bits 7 to 0 of VALUE of 256 cycles where it is read, and in
//     bits 15 to 8 where it is written, each channel for itself; 0: it answers at once. Bits 20 to
//     16: AR, R, AW, W, B move in one cycle of 64, AR and AW a cycle behind R and W.
//     6: from now on VALUE is half ADDRESS of where memory begins: 0 and 1 the low and the high half
//     where it is read, 2 and 3 where it is written.
//     7: from now on memory is broken as VALUE says. Bits 0 and 1: RRESP; 2 and 3: BRESP; 4 to 8:
//     nothing moves on AR, R, AW, W, B; 9 and 10: RRESP is OKAY but for the last word of a burst
//     (1), the first one (2), those between (3); 11: any address is right, and nothing is written;
//     12 to 15, 16 to 19: bursts end so many words early, late; 20 to 27: all this holds for this
//     burst alone, counted from now on, and for this answer to a write; 0: for all.
//     8: "read INTERRUPT" goes to log.txt. 9: a reset of one cycle, which memory sees too. 10: the
//     bit VALUE - 1 of the port fault of engine ADDRESS is set, until a reset; VALUE 0: that engine
//     sees a frame of a wrong length. 11: the counters of 64 bits are ADDRESS (the high half) and
//     VALUE; COMPLETED is VALUE. 12: write 1 to CTRL, and OFF cycles later VALUE to the register.
// memory.hex: the words of memory from address 0 on; result.hex: what they are at the end.
// "wrong ..." in log.txt: the core broke a rule of AXI. "hang": +cycles=N was not enough.
`timescale 1ns / 1ps

@{drive}
    localparam integer WIDTH = @{width}, BYTES = WIDTH / 8, SHIFT = $clog2(BYTES);
    localparam integer DEPTH = @{depth}, STEPS = @{steps}, QUEUE = 16;
    localparam integer END = 0, WRITE = 1, READ = 2, DONE = 3, WAIT = 4, PAUSES = 5,
                       ORIGIN = 6, BROKEN = 7, INTERRUPT = 8, RESET = 9, FAULT = 10,
                       COUNTERS = 11, STRIKE = 12;

    reg [WIDTH-1:0] memory [0:DEPTH-1];
    reg [55:0] script [0:STEPS-1];
    integer log, limit, cycle = 0;
    reg rst = 1;

    initial begin
        $readmemh("memory.hex", memory);
        $readmemh("script.hex", script);
        log = $fopen("log.txt", "w");
        if (!$value$plusargs("cycles=%d", limit)) limit = 10000000;
    end

    // ---- the program ------------------------------------------------------------------------------
    integer step = 0, waits = 0;
    reg awvalid = 0, wvalid = 0, arvalid = 0, busy = 0;
    // Address and data of a write come in any order; answers are taken now or later.
    reg aw_comes = 0, w_comes = 0, bready = 0, rready = 0;
    // Some accesses have another one behind them at once, which waits for the first one's answer: a
    // read of the register beside it, and a write to where nothing is.
    reg again = 0, twice = 0, second = 0;
    reg [13:0] address = 0;
    reg [31:0] value = 0;
    reg [15:0] rate = 0;
    reg [4:0] slow = 0;
    reg [63:0] read_from = 0, write_from = 0;
    wire awready, wready, bvalid, arready, rvalid;
    wire [31:0] rdata;
    wire [3:0] op = script[step][51:48], off = script[step][55:52];
    reg [3:0] strobes = 0;
    reg [27:0] broken = 0;
    wire interrupt;
    // What is forced for a cycle, from a falling edge of the clock to the next.
    reg fails = 0, counts = 0, forced = 0;
    reg [18:0] which = 0;
    reg [63:0] counted = 0;

    always @(negedge clk) begin
        forced <= fails || counts;
        if (fails) case (which)
@{faults}            default: ;
        endcase
        if (counts) begin
            force dut.shell.cycles = counted;
            force dut.shell.stalls = counted;
            force dut.shell.frames_done = counted;
            force dut.shell.completed = counted[31:0];
        end
        if (forced) begin
@{releases}            release dut.shell.cycles;
            release dut.shell.stalls;
            release dut.shell.frames_done;
            release dut.shell.completed;
        end
    end

    always @(posedge clk) begin
        cycle <= cycle + 1;
        fails <= !rst && !busy && op == FAULT;
        counts <= !rst && !busy && op == COUNTERS;
        rst <= cycle < 4;
        if (cycle == limit) begin
            $fwrite(log, "hang at step %0d\n", step);
            finish;
        end
        bready <= noise[3] || op == STRIKE;
        rready <= noise[19];
        if (aw_comes && noise[25]) {aw_comes, awvalid} <= 2'b01;
        if (w_comes && noise[22]) {w_comes, wvalid} <= 2'b01;
        if (awvalid && awready) awvalid <= 0;
        if (wvalid && wready) wvalid <= 0;
        if (arvalid && arready) begin
            arvalid <= again;
            if (again) address <= address ^ 14'h4;
            again <= 0;
        end
        if (again && wvalid && wready) begin
            again <= 0;
            address <= 14'h3ffc;
            {aw_comes, w_comes} <= 2'b11;
        end
        if (!rst && !busy) begin
            address <= op == DONE ? 14'h0 : script[step][45:32];
            value <= script[step][31:0];
            strobes <= op == DONE || op == STRIKE ? 4'hf : ~off;
            waits <= 0;
            busy <= op == WRITE || op == READ || op == DONE || op == WAIT || op == STRIKE;
            if (op == END) finish;
            if (op == WRITE) {aw_comes, w_comes} <= 2'b11;
            if (op == READ || op == DONE) arvalid <= 1;
            {again, twice} <= {2{noise[14:13] == 0 && (op == READ || op == WRITE)}};
            if (op == STRIKE) begin
                {awvalid, wvalid} <= 2'b11;
                address <= 0;
                value <= 1;
            end
            if (op == ORIGIN) case (script[step][33:32])
                0: read_from[31:0] <= script[step][31:0];
                1: read_from[63:32] <= script[step][31:0];
                2: write_from[31:0] <= script[step][31:0];
                3: write_from[63:32] <= script[step][31:0];
            endcase
            if (op == PAUSES) {slow, rate} <= script[step][20:0];
            if (op == BROKEN) begin
                broken <= script[step][27:0];
                {bursts, confirmed} <= 0;
            end
            if (op == RESET) rst <= 1;
            if (op == FAULT) which <= {script[step][47:32], script[step][2:0]};
            if (op == COUNTERS) counted <= {16'b0, script[step][47:0]};
            if (op == INTERRUPT) $fwrite(log, "read %0d\n", interrupt);
            if (op == ORIGIN || op == PAUSES || op == BROKEN || op == RESET || op == FAULT
                || op == COUNTERS || op == INTERRUPT) step <= step + 1;
        end
        if (busy) begin
            if (op == WAIT) begin
                waits <= waits + 1;
                if (waits == value) begin
                    busy <= 0;
                    step <= step + 1;
                end
            end
            if (op == STRIKE) begin
                waits <= waits + 1;
                if (waits + 1 == off) begin
                    {awvalid, wvalid} <= 2'b11;
                    address <= script[step][45:32];
                    value <= script[step][31:0];
                end
                if (waits == 32) begin
                    busy <= 0;
                    step <= step + 1;
                end
            end
            if ((bvalid && bready && op != STRIKE) || (rvalid && rready && op == READ)) begin
                {twice, second} <= {1'b0, twice};
                busy <= twice;
                if (!twice) step <= step + 1;
            end
            if (rvalid && rready && op == READ && !second)
                $fwrite(log, "read %0d\n", rdata);
            if (rvalid && rready && op == DONE) begin
                if (!rdata[1]) arvalid <= 1;
                else if (value[1]) begin
                    busy <= 0;
                    step <= step + 1;
                end else begin
                    value <= 32'h10;
                    {aw_comes, w_comes} <= 2'b11;
                end
                if (rdata[1] && value[0]
                    && (m_awvalid || m_wvalid || writes_held != 0 || answers != 0))
                    $fwrite(log, "wrong: AP_DONE is 1 before memory has confirmed all writes\n");
            end
        end
    end

    task finish;
        begin
            $writememh("result.hex", memory);
            $fclose(log);
            $finish;
        end
    endtask

    // ---- the memory -------------------------------------------------------------------------------
    reg [31:0] noise = 32'h2545f491;
    // What lies on the data where nothing comes: it must not go with the pauses.
    reg [WIDTH-1:0] idle = 0;
    integer seed = 1;
    reg [4:0] pause = 0;  // ar, r, aw, w, b
    reg [7:0] bursts = 0, confirmed = 0;  // that were read, and answers to writes, since BROKEN
    wire breaks_read = broken[27:20] == 0 || broken[27:20] == bursts + 8'd1;
    wire breaks_write = broken[27:20] == 0 || broken[27:20] == confirmed + 8'd1;
    wire m_arvalid, m_rready, m_awvalid, m_wvalid, m_wlast, m_bready;
    wire [63:0] m_araddr, m_awaddr;
    wire [7:0] m_arlen, m_awlen;
    wire [2:0] m_arsize, m_awsize;
    wire [1:0] m_arburst, m_awburst, bresp, rresp;
    wire [3:0] m_arcache, m_awcache;
    wire [2:0] m_arprot, m_awprot;
    wire m_arid, m_awid;
    wire [WIDTH-1:0] m_wdata;
    wire [BYTES-1:0] m_wstrb;
    reg [63:0] reads [0:QUEUE-1], writes [0:QUEUE-1];
    reg [7:0] lengths [0:QUEUE-1];
    reg [3:0] read_head = 0, read_tail = 0, write_head = 0, write_tail = 0;
    reg [4:0] reads_held = 0, writes_held = 0;
    reg [7:0] read_at = 0, write_at = 0;
    integer answers = 0, n;
    reg [4:0] offered = 0;
    reg [71:0] offer_ar, offer_aw;
    reg [31:0] offer_r;
    reg [WIDTH+BYTES:0] offer_w;
    reg [7:0] write_lengths [0:QUEUE-1];

    wire m_arready = reads_held < QUEUE && !pause[0] && !broken[4];
    wire m_rvalid = reads_held != 0 && !pause[1] && !broken[5];
    wire [7:0] early = breaks_read ? {4'b0, broken[15:12]} : 8'd0;
    wire [7:0] late = breaks_read ? {4'b0, broken[19:16]} : 8'd0;
    wire m_rlast = read_at == late + (lengths[read_head] > early ? lengths[read_head] - early : 8'd0);
    wire wrong_word = breaks_read && (broken[10:9] == 0 || (broken[10:9] == 1 && m_rlast)
                                      || (broken[10:9] == 2 && read_at == 0)
                                      || (broken[10:9] == 3 && read_at != 0 && !m_rlast));
    wire m_awready = writes_held < QUEUE && !pause[2] && !broken[6];
    wire comes = m_awvalid && m_awready;
    wire m_wready = (writes_held != 0 || comes) && !pause[3] && !broken[7];
    wire m_bvalid = answers != 0 && !pause[4] && !broken[8];
    wire asks = m_arvalid && m_arready;
    wire gives = m_rvalid && m_rready;
    wire takes = m_wvalid && m_wready;
    wire [63:0] read_word = (reads[read_head] >> SHIFT) + {56'b0, read_at};
    wire [63:0] written = writes_held != 0 ? writes[write_head] : m_awaddr - write_from;
    wire [7:0] write_len = writes_held != 0 ? write_lengths[write_head] : m_awlen;
    wire [63:0] write_word = (written >> SHIFT) + {56'b0, write_at};

    always @(posedge clk) begin
        noise <= {noise[30:0], noise[31] ^ noise[21] ^ noise[1] ^ noise[0]};
        for (n = 0; n < WIDTH / 32; n = n + 1) idle[32 * n +: 32] <= $random(seed);
        pause[0] <= slow[0] ? cycle[5:0] != 1 : noise[7:0] < rate[7:0];
        if (!m_rvalid || m_rready) pause[1] <= slow[1] ? cycle[5:0] != 0 : noise[12:5] < rate[7:0];
        pause[2] <= slow[2] ? cycle[5:0] != 1 : noise[17:10] < rate[15:8];
        pause[3] <= slow[3] ? cycle[5:0] != 0 : noise[23:16] < rate[15:8];
        if (!m_bvalid || m_bready) pause[4] <= slow[4] ? cycle[5:0] != 0 : noise[30:23] < rate[15:8];
        if (asks) begin
            reads[read_tail] <= m_araddr - read_from;
            lengths[read_tail] <= m_arlen;
            read_tail <= read_tail + 1;
            check(m_araddr, m_arlen, read_from, {m_arid, m_arprot, m_arcache, m_arsize, m_arburst});
        end
        if (comes) begin
            writes[write_tail] <= m_awaddr - write_from;
            write_lengths[write_tail] <= m_awlen;
            write_tail <= write_tail + 1;
            check(m_awaddr, m_awlen, write_from, {m_awid, m_awprot, m_awcache, m_awsize, m_awburst});
        end
        if (gives) begin
            read_at <= m_rlast ? 0 : read_at + 1;
            if (m_rlast) begin
                read_head <= read_head + 1;
                bursts <= bursts + 1;
            end
        end
        if (m_bvalid && m_bready) confirmed <= confirmed + 1;
        offered <= {bvalid && !bready, rvalid && !rready, m_arvalid && !m_arready,
                    m_awvalid && !m_awready, m_wvalid && !m_wready};
        offer_r <= rdata;
        offer_ar <= {m_araddr, m_arlen};
        offer_aw <= {m_awaddr, m_awlen};
        offer_w <= {m_wdata, m_wstrb, m_wlast};
        if ((offered[2] && {m_arvalid, m_araddr, m_arlen} !== {1'b1, offer_ar})
            || (offered[1] && {m_awvalid, m_awaddr, m_awlen} !== {1'b1, offer_aw})
            || (offered[0] && {m_wvalid, m_wdata, m_wstrb, m_wlast} !== {1'b1, offer_w}))
            $fwrite(log, "wrong: an offer to memory changes before it is taken\n");
        if ((offered[4] && !bvalid) || (offered[3] && {rvalid, rdata} !== {1'b1, offer_r}))
            $fwrite(log, "wrong: an answer to an access to registers changes before it is taken\n");
        if ((bvalid && bresp !== 0) || (rvalid && rresp !== 0))
            $fwrite(log, "wrong: an answer to an access to registers is not OKAY\n");
        if (takes && m_wlast != (write_at == write_len))
            $fwrite(log, "wrong: WLAST is not on the last word of a burst\n");
        if (takes) begin
            write_at <= m_wlast ? 0 : write_at + 1;
            if (m_wlast) write_head <= write_head + 1;
            for (n = 0; n < BYTES; n = n + 1)
                if (m_wstrb[n] && write_word < DEPTH && !broken[11])
                    memory[write_word][8 * n +: 8] <= m_wdata[8 * n +: 8];
        end
        reads_held <= reads_held + {4'b0, asks} - {4'b0, gives && m_rlast};
        writes_held <= writes_held + {4'b0, comes} - {4'b0, takes && m_wlast};
        answers <= answers + (takes && m_wlast ? 1 : 0) - (m_bvalid && m_bready ? 1 : 0);
        if (rst) begin
            {reads_held, writes_held, read_head, read_tail, write_head, write_tail} <= 0;
            {read_at, write_at, offered} <= 0;
            answers <= 0;
        end
    end

    task check(input [63:0] first, input [7:0] len, input [63:0] from, input [12:0] how);
        reg [63:0] offset;
        begin
            offset = first - from;
            if (how[4:0] !== {SHIFT[2:0], 2'b01})
                $fwrite(log, "wrong: a burst is not of whole words from address to address\n");
            if (how[12:5] !== {1'b0, 3'b000, 4'b0011})
                $fwrite(log, "wrong: a burst's ID, protection or cache attributes are not 0, 0 and 3\n");
            if (first[11:0] + ({56'b0, len} + 1) * BYTES > 4096)
                $fwrite(log, "wrong: a burst at %h crosses 4 KiB\n", first);
            if (!broken[11] && ((offset >> SHIFT) + {56'b0, len} >= DEPTH
                                || offset[SHIFT-1:0] != 0))
                $fwrite(log, "wrong: a burst at %h lies beyond all that is in use\n", first);
        end
    endtask

    gatefold_host dut (
        .clk(clk), .rst(rst), .interrupt(interrupt),
        .s_axi_control_awaddr(awvalid ? address : ~address), .s_axi_control_awvalid(awvalid),
        .s_axi_control_awready(awready), .s_axi_control_wdata(wvalid ? value : ~value),
        .s_axi_control_wstrb(wvalid ? strobes : 4'hf),
        .s_axi_control_wvalid(wvalid), .s_axi_control_wready(wready), .s_axi_control_bresp(bresp),
        .s_axi_control_bvalid(bvalid), .s_axi_control_bready(bready),
        .s_axi_control_araddr(arvalid ? address : ~address), .s_axi_control_arvalid(arvalid),
        .s_axi_control_arready(arready), .s_axi_control_rdata(rdata), .s_axi_control_rresp(rresp),
        .s_axi_control_rvalid(rvalid), .s_axi_control_rready(rready),
        .m_axi_gmem_awid(m_awid), .m_axi_gmem_awaddr(m_awaddr), .m_axi_gmem_awlen(m_awlen),
        .m_axi_gmem_awsize(m_awsize), .m_axi_gmem_awburst(m_awburst), .m_axi_gmem_awcache(m_awcache), .m_axi_gmem_awprot(m_awprot),
        .m_axi_gmem_awvalid(m_awvalid), .m_axi_gmem_awready(m_awready),
        .m_axi_gmem_wdata(m_wdata), .m_axi_gmem_wstrb(m_wstrb), .m_axi_gmem_wlast(m_wlast),
        .m_axi_gmem_wvalid(m_wvalid), .m_axi_gmem_wready(m_wready),
        .m_axi_gmem_bid(1'b0), .m_axi_gmem_bresp(!m_bvalid ? noise[9:8] : breaks_write ? broken[3:2] : 2'b00), .m_axi_gmem_bvalid(m_bvalid),
        .m_axi_gmem_bready(m_bready),
        .m_axi_gmem_arid(m_arid), .m_axi_gmem_araddr(m_araddr), .m_axi_gmem_arlen(m_arlen),
        .m_axi_gmem_arsize(m_arsize), .m_axi_gmem_arburst(m_arburst), .m_axi_gmem_arcache(m_arcache), .m_axi_gmem_arprot(m_arprot),
        .m_axi_gmem_arvalid(m_arvalid), .m_axi_gmem_arready(m_arready),
        .m_axi_gmem_rid(1'b0), .m_axi_gmem_rdata(m_rvalid ? memory[read_word < DEPTH ? read_word : 0]
                                            : idle),
        .m_axi_gmem_rresp(!m_rvalid ? noise[11:10] : wrong_word ? broken[1:0] : 2'b00),
        .m_axi_gmem_rlast(m_rvalid ? m_rlast : noise[12]), .m_axi_gmem_rvalid(m_rvalid), .m_axi_gmem_rready(m_rready)
    );

endmodule
