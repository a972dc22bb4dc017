    // Faults, for a core that watches itself. With a `job`, this plays frames on the core instead of
    // the ports, makes a fault at the place `watched`, and looks at the port `fault`. `judged` tells
    // that it is done, `verdict` what was wrong (0: nothing), and `found` the bits or cycles. Jobs:
    //
    //     LEARN       no fault: what comes out of two frames must come out of them again
    //     COPY        bit `flip_bit` of the copy of a register changes, `flip_cycle` cycles after a reset
    //     WORD        that bit of the word `flip_word` of a memory changes, until it is found
    //     STOPS       no tile that yields output is issued any more, and nothing else goes in
    //     SHUT        the core takes no input, which is offered
    //     IDLE        no fault, but nothing moves for longer than the watchdog waits: after whole frames;
    //     LENGTHS     after frames that are too short and too long;
    //     AMID        in the middle of an input frame;
    //     BLOCKED     as no output is taken;
    //     UNLOADED    as there are no weights
    //
    // A fault must be told of by its bit alone, which stays set until a reset. STOPS and SHUT must be
    // ended by the watchdog, after exactly its time, and then the core must work without another
    // reset, and the watchdog must not count any more. With `replay`, it must work again after the reset that follows COPY or WORD.
    localparam integer LEARN = 1, COPY = 2, WORD = 3, STOPS = 4, SHUT = 5, LENGTHS = 7, AMID = 8,
                       BLOCKED = 9, UNLOADED = 10;
    localparam integer ALARM = 1, MISSED = 2, OTHER = 3, FORGOTTEN = 4, EARLY_END = 5, NO_END = 6,
                       SPOILT = 7, OPEN = 8;
    localparam integer PATIENCE = @{patience};  // cycles, of the watchdog
    localparam integer FRAME_IN = @{beats_in}, FRAME_OUT = @{beats_out};  // beats
    localparam integer LONGEST = @{longest};  // cycles until every word has been used, or two frames came out
    localparam integer BEGINS = 40;  // the cycle after a reset in which a frame is offered
    localparam integer LOADS = 8;    // and some cycles before or later, weights are there
    localparam integer TELLS = 2;    // cycles in which a copy tells
    localparam integer STAYS = 16;   // cycles that a fault is watched
    localparam integer BEYOND = 64;  // cycles more than the watchdog waits

    integer job = 0, watched = 0, flip_bit = 0, flip_word = 0, flip_cycle = 0, verdict = 0, found = 0;
    reg     replay = 0, judged = 0;
    reg [@{mask_msb}:0] flip_mask;
    reg [3:0] right;     // what `fault` must be then
    integer at = 0;      // cycles since the reset
    integer quiet = 0;   // cycles since a beat moved
    integer sent = 0, got = 0, frame = 0, beat = 0;  // beats; the frame that goes in, and its beat
    integer since = 0;   // cycles since the fault was told of, 0: it was not
    reg     again = 0;   // the fault is over
    reg [@{beat_msb}:0] learnt [0:2*FRAME_OUT-1];

    wire playing = job != 0 && !judged;
    wire hangs = job == STOPS || job == SHUT;
    wire waits = job > SHUT;
    wire guard_rst = playing && at == 0;
    wire last_sent = again || job == LEARN || waits && job < AMID ? frame == 2
                     : job == AMID ? sent == 2 * FRAME_IN - 1 : job == STOPS && frame == 1;
    wire guard_valid = playing && at >= BEGINS && !last_sent;
    wire [31:0] length = job != LENGTHS ? FRAME_IN : frame == 0 ? 1 : FRAME_IN + 2;
    wire guard_last = beat + 1 == length;
    wire guard_ready = job != BLOCKED;
    wire [31:0] mixed = (37 * frame + beat + 1) * 32'h9e3779b9;
    wire [@{noise_words}*32-1:0] guard_data = {@{noise_words}{mixed ^ (mixed >> 15)}};
    wire guard_in = guard_valid && s_axis_tready && !guard_rst;
    wire guard_out = m_valid && guard_ready && !guard_rst;
    // Weights stay in their memories through a reset: the loader is told so.
    wire opens = playing && job != UNLOADED && at == (again && hangs ? BEGINS + LOADS : LOADS);
    wire shuts = playing && hangs && !again && at != 0 && fault[3] !== 1'b1;
    wire flips = playing && !again && (job == COPY && at == flip_cycle
                                       || job == WORD && (at == 0 || since == 1));

    reg     tampered = 0;  // a fault was made since the last reset from outside
    always @(posedge clk) tampered <= !rst && (tampered || job != 0);

    always @(negedge clk) begin
        flip_mask = 1 << flip_bit;
        if (flips) case (watched)
@{flips}
            default: ;
        endcase
        if (shuts && job == STOPS) begin
            dut.core.sequencer.full <= 2;
            dut.core.sequencer.full_copy <= 2;
        end
        if (shuts && job == SHUT) begin
            dut.core.sequencer.primed <= 0;
            dut.core.sequencer.present_copy <= 0;
        end
@{opens}
    end

    always @(posedge clk) if (!playing) begin
        judged <= job != 0;
        begin_again(0);
        again <= 0;
    end else begin
        at <= at + 1;
        quiet <= guard_in || guard_out ? 0 : quiet + 1;
        if (guard_in) begin
            sent <= sent + 1;
            beat <= guard_last ? 0 : beat + 1;
            if (guard_last) frame <= frame + 1;
        end
        if (guard_out) got <= got + 1;
        if (guard_out && job == LEARN) learnt[got] <= m_axis_tdata;
        if (since != 0) since <= since + 1;
        if (at == 0) ;
        else if (again || job == LEARN) begin
            if (fault !== (again && hangs ? 4'd8 : 4'd0)) judge(again && hangs ? FORGOTTEN : ALARM);
            else if (guard_in && again && hangs && at <= BEGINS + LOADS && @{loads}) judge(OPEN);
            else if (guard_out && again && (m_axis_tdata !== learnt[got] || m_axis_tlast !== (got % FRAME_OUT == FRAME_OUT - 1)))
                judge(SPOILT);
            else if (again && hangs && dut.watchdog.expires !== 1'b0) judge(EARLY_END);
            else if (got == 2 * FRAME_OUT) begin
                if (!again || !hangs || quiet == PATIENCE + BEYOND) judge(0);
            end else if (at > LONGEST) judge(SPOILT);
        end else if (waits) begin
            if (fault !== 0) judge(ALARM);
            else if (guard_in && job == UNLOADED) judge(OPEN);
            else if (quiet == PATIENCE + BEYOND) judge(0);
        end else if (hangs) begin
            if (fault[2:0] !== 0) judge(ALARM);
            // A beat that moves, or one that is offered, starts the watchdog anew.
            else if (fault[3] !== 0) begin
                if (quiet < PATIENCE + (job == STOPS)) judge(EARLY_END);
                else begin_again(1);
            end else if (quiet >= PATIENCE + (job == STOPS)) judge(NO_END);
            if (at == BEGINS) quiet <= 0;
        end else if (since != 0) begin
            if ((fault & right) !== right) judge(FORGOTTEN);
            else if (since == STAYS) begin
                if (replay) begin_again(0);
                else judge(0);
            end
        end else if (fault !== 0) begin
            if (job == COPY && at <= flip_cycle) judge(ALARM);
            else if (fault !== right) judge(OTHER);
            since <= 1;
        end else if (at == (job == COPY ? flip_cycle + TELLS : LONGEST)) judge(MISSED);
    end

    task judge(input integer how);
        begin
            verdict <= how;
            found <= how == EARLY_END || how == NO_END ? quiet : fault;
            judged <= 1;
        end
    endtask

    task begin_again(input integer from);
        begin
            again <= 1;
            at <= from;
            {sent, got, frame, beat, since, quiet} <= 0;
        end
    endtask

