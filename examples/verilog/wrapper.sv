// A core of Gatefold in a design of plain SystemVerilog, with a register slice behind it.
//
//   $ gatefold build --units 4 --features 2 --timesteps 3 --macs 8 -o core
//   $ verilator --lint-only -Wall core/rtl/*.v examples/verilog/wrapper.sv --top-module wrapper
//
// The widths of the streams are in core/core.json ("stream"), and the head of core/rtl/gatefold.v
// has an instance to copy. GATEFOLD_WEIGHTS names the folder of the memory images for $readmemh.
module wrapper #(
    parameter int BEAT = 128  // bits of a beat
) (
    input  logic            clk,
    input  logic            rst,
    input  logic [BEAT-1:0] in_data,
    input  logic            in_valid,
    output logic            in_ready,
    input  logic            in_last,
    output logic [BEAT-1:0] out_data,
    output logic            out_valid,
    input  logic            out_ready,
    output logic            out_last,
    output logic            frame_error
);
    logic [BEAT-1:0] data;
    logic valid, ready, last;

    gatefold core (
        .clk(clk),
        .rst(rst),
        .s_axis_tdata(in_data),
        .s_axis_tvalid(in_valid),
        .s_axis_tready(in_ready),
        .s_axis_tlast(in_last),
        .m_axis_tdata(data),
        .m_axis_tvalid(valid),
        .m_axis_tready(ready),
        .m_axis_tlast(last),
        .frame_error(frame_error)
    );

    assign ready = !out_valid || out_ready;
    always_ff @(posedge clk) begin
        if (rst) out_valid <= 1'b0;
        else if (ready) out_valid <= valid;
        if (ready) {out_last, out_data} <= {last, data};
    end
endmodule
