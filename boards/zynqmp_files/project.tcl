# A design for the @title: processing system, core, bitstream and hand-off.
# Written for Vivado @vivado; not run in any. Needs build/ip of package_ip.tcl.
# Run with: make   (or: vivado -mode batch -source project.tcl)
# Exit code: 0 timing met; 1 timing not met, or an error of Vivado's.
cd [file dirname [file normalize [info script]]]

set part @part
set board_part @board_part
set clock_mhz @mhz
if {![file readable build/ip/component.xml]} {
    error "build/ip holds no component.xml: run make ip first"
}

create_project -force system build/system -part $part
if {[llength [get_board_parts -quiet $board_part]] == 0} {
    error "this Vivado ([version -short]) has no board files $board_part: install them"
}
set_property board_part $board_part [current_project]
set_property ip_repo_paths build/ip [current_project]
update_ip_catalog

create_bd_design system
set ps [create_bd_cell -type ip -vlnv xilinx.com:ip:zynq_ultra_ps_e:* ps]
apply_bd_automation -rule xilinx.com:bd_rule:zynq_ultra_ps_e -config {apply_board_preset "1"} $ps
# GP0 as a master is M_AXI_HPM0_FPD, GP2 as a slave S_AXI_HP0_FPD: not coherent, so that no broadcast
# register and no dma-coherent are needed, and nearer to memory than HPC (UG1085).
set_property -dict [list \
    CONFIG.PSU__USE__M_AXI_GP0 1 \
    CONFIG.PSU__MAXIGP0__DATA_WIDTH 32 \
    CONFIG.PSU__USE__M_AXI_GP1 0 \
    CONFIG.PSU__USE__M_AXI_GP2 0 \
    CONFIG.PSU__USE__S_AXI_GP2 1 \
    CONFIG.PSU__SAXIGP2__DATA_WIDTH @port_bits \
    CONFIG.PSU__USE__IRQ0 1 \
    CONFIG.PSU__FPGA_PL0_ENABLE 1 \
    CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ $clock_mhz \
] $ps

set core [create_bd_cell -type ip -vlnv gatefold:core:gatefold_host:1.0 gatefold]
set reset [create_bd_cell -type ip -vlnv xilinx.com:ip:proc_sys_reset:* reset]
set control [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:* control]
set memory [create_bd_cell -type ip -vlnv xilinx.com:ip:smartconnect:* memory]
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] $control
set_property -dict [list CONFIG.NUM_SI 1 CONFIG.NUM_MI 1] $memory

connect_bd_intf_net [get_bd_intf_pins ps/M_AXI_HPM0_FPD] [get_bd_intf_pins control/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins control/M00_AXI] [get_bd_intf_pins gatefold/s_axi_control]
connect_bd_intf_net [get_bd_intf_pins gatefold/m_axi_gmem] [get_bd_intf_pins memory/S00_AXI]
connect_bd_intf_net [get_bd_intf_pins memory/M00_AXI] [get_bd_intf_pins ps/S_AXI_HP0_FPD]

foreach pin {
    ps/maxihpm0_fpd_aclk ps/saxihp0_fpd_aclk reset/slowest_sync_clk control/aclk memory/aclk
    gatefold/clk
} {
    connect_bd_net [get_bd_pins ps/pl_clk0] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins ps/pl_resetn0] [get_bd_pins reset/ext_reset_in]
connect_bd_net [get_bd_pins reset/peripheral_reset] [get_bd_pins gatefold/rst]
foreach pin {control/aresetn memory/aresetn} {
    connect_bd_net [get_bd_pins reset/interconnect_aresetn] [get_bd_pins $pin]
}
connect_bd_net [get_bd_pins gatefold/interrupt] [get_bd_pins ps/pl_ps_irq0]

assign_bd_address -target_address_space [get_bd_addr_spaces ps/Data] \
    [get_bd_addr_segs gatefold/s_axi_control/reg0] -offset @control_base -range @control_range
assign_bd_address -target_address_space [get_bd_addr_spaces gatefold/m_axi_gmem] \
    [get_bd_addr_segs ps/SAXIGP2/HP0_DDR_LOW] -offset 0x00000000 -range 2G

validate_bd_design
save_bd_design
make_wrapper -files [get_files system.bd] -top
add_files -norecurse [glob build/system/system.gen/sources_1/bd/system/hdl/system_wrapper.v]
set_property top system_wrapper [current_fileset]
# A memory image that cannot be opened must stop the run, not leave an empty memory.
set_msg_config -id {Synth 8-4445} -new_severity ERROR
# Registers with equal inputs are copies for different places: they must stay.
set_property STEPS.SYNTH_DESIGN.ARGS.KEEP_EQUIVALENT_REGISTERS true [get_runs synth_1]
set_property STRATEGY Performance_ExplorePostRoutePhysOpt [get_runs impl_1]

launch_runs impl_1 -to_step write_bitstream -jobs 4
wait_on_runs impl_1
if {[get_property PROGRESS [get_runs impl_1]] ne "100%"} {
    error "the implementation failed: see build/system/system.runs"
}
file mkdir output
# PYNQ finds the hand-off by the name of the bitstream.
file copy -force [glob build/system/system.runs/impl_1/*.bit] output/gatefold.bit
file copy -force [glob build/system/system.gen/sources_1/bd/system/hw_handoff/*.hwh] \
    output/gatefold.hwh
open_run impl_1
write_hw_platform -fixed -include_bit -force -file output/gatefold.xsa
report_timing_summary -file output/timing_summary.rpt
report_utilization -file output/utilization.rpt
set wns [get_property STATS.WNS [get_runs impl_1]]
puts "gatefold: setup slack $wns ns at $clock_mhz MHz"
if {$wns < 0} {
    puts "gatefold: timing not met: see output/timing_summary.rpt, or build with a lower --clock"
    exit 1
}
exit 0
