# Packages the core with its registers and its master as an IP for Vivado's block designs.
# @title, @part. Written for Vivado @vivado; not run in any.
# Run with: make ip   (or: vivado -mode batch -source package_ip.tcl)
cd [file dirname [file normalize [info script]]]

set part @part
set verilog {
@verilog
}
set memories {
@memories
}
foreach name [concat $verilog $memories] {
    if {![file readable $name]} {
        error "cannot read $name: copy the whole output folder, not @board/ alone"
    }
}
if {[llength [get_parts -quiet $part]] == 0} {
    error "this Vivado ([version -short]) has no part $part: install its device family"
}

# Memory images are read at synthesis, by an absolute path that the copy of the Verilog states.
set weights [file normalize ../weights]
if {![regexp {^[A-Za-z0-9_./:+-]+$} $weights]} {
    error "the folder $weights has a name that Verilog cannot state: move it to one of letters,\
        digits and _./:+-"
}
file delete -force build/ip
file mkdir build/ip/src
foreach name $verilog {
    set from [open $name r]
    set text [read $from]
    close $from
    set to [open build/ip/src/[file tail $name] w]
    puts -nonewline $to "`ifndef GATEFOLD_WEIGHTS\n`define GATEFOLD_WEIGHTS \"$weights\"\n`endif\n"
    puts -nonewline $to $text
    close $to
}

create_project -force package build/package -part $part
add_files -norecurse [glob build/ip/src/*.v]
set_property top gatefold_host [current_fileset]
update_compile_order -fileset sources_1

ipx::package_project -root_dir build/ip -vendor gatefold -library core -taxonomy /UserIP \
    -name gatefold_host -version 1.0 -set_current true
set core [ipx::current_core]
set_property display_name "Gatefold core @hash" $core
set_property description "LSTM network with registers and an AXI4 master, build @hash" $core
set_property core_revision 1 $core
set_property supported_families {zynquplus Production} $core

# Every interface has a clock; the reset is high where active.
ipx::associate_bus_interfaces -busif s_axi_control -clock clk $core
ipx::associate_bus_interfaces -busif m_axi_gmem -clock clk $core
ipx::associate_bus_interfaces -clock clk -reset rst $core
set reset [ipx::get_bus_interfaces rst -of_objects $core]
set_property value ACTIVE_HIGH [ipx::add_bus_parameter POLARITY $reset]
ipx::infer_bus_interface interrupt xilinx.com:signal:interrupt_rtl:1.0 $core
set interrupt [ipx::get_bus_interfaces interrupt -of_objects $core]
set_property value LEVEL_HIGH [ipx::add_bus_parameter SENSITIVITY $interrupt]

ipx::create_xgui_files $core
ipx::update_checksums $core
ipx::check_integrity $core
ipx::save_core $core
close_project
puts "gatefold: the IP is in build/ip"
exit 0
