# A stand-in for Vivado's projects and block designs: runs a script and refuses what it finds wrong.
#
#   tclsh vivado_design_recorder.tcl SCRIPT LOG [key value ...]
#
# Commands and options are those of UG835 and UG1118 as far as the scripts use them, pins and
# properties of the processing system those of PG201, written from public designs that use them.
# Checked: files exist; the Verilog has the ports that the IP's interfaces need; both ends of every
# connection exist, and each sink has one source; every pin that must be driven is; both address
# spaces are mapped; runs are launched before results are copied.
# Keys: wns, version, parts, board_parts ("none"). Exit code: the script's, or 97 where refused.

set script [lindex $argv 0]
set log [open [lindex $argv 1] w]
array set model {wns 0.125 version 2025.2 parts all board_parts all}
array set model [lrange $argv 2 end]

set known_parts {xczu7ev-ffvc1156-2-e}
set known_boards {xilinx.com:zcu104:part0:1.1}
set project ""
set sources {}
set top ""
set bus {}
set cells {}
set nets {}
set mapped {}
set launched 0
set packaged 0

# Pins of a cell by the IP's name: interface pins {name direction}, pins {name direction}.
set catalog [dict create \
    zynq_ultra_ps_e {{M_AXI_HPM0_FPD O S_AXI_HP0_FPD I} {pl_clk0 O pl_resetn0 O pl_ps_irq0 I
        maxihpm0_fpd_aclk I saxihp0_fpd_aclk I}} \
    smartconnect {{S00_AXI I M00_AXI O} {aclk I aresetn I}} \
    proc_sys_reset {{} {slowest_sync_clk I ext_reset_in I peripheral_reset O peripheral_aresetn O
        interconnect_aresetn O}} \
    gatefold_host {{s_axi_control I m_axi_gmem O} {clk I rst I interrupt O}}]

source [file join [file dirname [info script]] vivado_words.tcl]

proc define {command options body} {
    set ::commands($command) $options
    proc ::do_$command {given positional} $body
    proc ::$command {args} [format {
        set command %s
        puts $::log "{\"command\": [json $command], \"args\": \[[join [lmap w $args {json $w}] ", "]\]}"
        lassign [parse $command $args $::commands($command)] given positional
        return [do_$command $given $positional]
    } [list $command]]
}

proc one {positional what known} {
    set name [lindex $positional 0]
    if {$name ni $known} {
        refuse "$what: there is no $name"
    }
    return $name
}

namespace eval ::ipx {}
namespace eval ::do_ipx {}

# ---- projects ----------------------------------------------------------------------------------

define version {-short} {return $::model(version)}
define get_parts {-quiet} {
    return [expr {$::model(parts) eq "all" && [lindex $positional 0] in $::known_parts
                  ? $positional : {}}]
}
define get_board_parts {-quiet} {
    return [expr {$::model(board_parts) eq "all" && [lindex $positional 0] in $::known_boards
                  ? $positional : {}}]
}
define create_project {-force -part=} {
    if {[option $given -part] ni $::known_parts} {
        refuse "create_project: no such part: [option $given -part]"
    }
    set ::project [lindex $positional 0]
    file mkdir [lindex $positional 1]
}
define close_project {} {}
define current_project {} {return $::project}
define current_fileset {} {return sources_1}
define add_files {-norecurse} {
    foreach name [lindex $positional 0] {
        if {![file readable $name]} {
            refuse "add_files: no such file: $name"
        }
        lappend ::sources $name
    }
    if {[lindex $positional 0] eq ""} {
        refuse "add_files: no files"
    }
}
define update_compile_order {-fileset=} {}
define update_ip_catalog {} {}
define set_msg_config {-id= -new_severity=} {}

# Properties by the kind of their object.
set properties {
    project {board_part ip_repo_paths}
    fileset {top verilog_define}
    ip {display_name description core_revision supported_families}
    parameter {value}
    run {STEPS.SYNTH_DESIGN.ARGS.KEEP_EQUIVALENT_REGISTERS STRATEGY}
    cell:zynq_ultra_ps_e {CONFIG.PSU__USE__M_AXI_GP0 CONFIG.PSU__MAXIGP0__DATA_WIDTH
        CONFIG.PSU__USE__M_AXI_GP1 CONFIG.PSU__USE__M_AXI_GP2 CONFIG.PSU__USE__S_AXI_GP2
        CONFIG.PSU__SAXIGP2__DATA_WIDTH CONFIG.PSU__USE__IRQ0 CONFIG.PSU__FPGA_PL0_ENABLE
        CONFIG.PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ}
    cell:smartconnect {CONFIG.NUM_SI CONFIG.NUM_MI}
}

proc kind {object} {
    if {[dict exists $::cells $object]} {
        return cell:[dict get $::cells $object]
    }
    switch -glob -- $object {
        sources_1 {return fileset}
        ip {return ip}
        parameter:* {return parameter}
        synth_1 - impl_1 {return run}
    }
    return [expr {$object eq $::project ? "project" : "nothing"}]
}

define set_property {-dict=} {
    if {[dict exists $given -dict]} {
        set pairs [option $given -dict]
        set object [lindex $positional 0]
    } else {
        set pairs [lrange $positional 0 1]
        set object [lindex $positional 2]
    }
    set kind [kind $object]
    if {![dict exists $::properties $kind]} {
        refuse "set_property: no such object: $object"
    }
    foreach {name value} $pairs {
        if {$name ni [dict get $::properties $kind]} {
            refuse "set_property: $object has no property $name"
        }
        set ::values($object,$name) $value
    }
}
define get_property {} {
    return [dict get [dict create PROGRESS 100% STATS.WNS $::model(wns)] [lindex $positional 0]]
}

# ---- IP ----------------------------------------------------------------------------------------

proc slurp {path} {
    set file [::real_open $path]
    set text [read $file]
    close $file
    return $text
}

# What an AXI interface must have for Vivado to recognise it.
set needed {
    s_axi_control {awaddr awvalid awready wdata wstrb wvalid wready bresp bvalid bready araddr
        arvalid arready rdata rresp rvalid rready}
    m_axi_gmem {awaddr awlen awsize awburst awvalid awready wdata wstrb wlast wvalid wready bresp
        bvalid bready araddr arlen arsize arburst arvalid arready rdata rresp rlast rvalid rready}
}

define ipx::package_project {-root_dir= -vendor= -library= -taxonomy= -name= -version=
        -set_current=} {
    foreach name $::sources {
        if {![string match [option $given -root_dir]/* $name]} {
            refuse "ipx::package_project: $name is outside the IP: a copy would miss it"
        }
    }
    set top $::values(sources_1,top)
    foreach name $::sources {
        if {[regexp [format {(?n)^module\s+%s\y} $top] [slurp $name]]} {
            set body [slurp $name]
        }
    }
    if {![info exists body]} {
        refuse "ipx::package_project: no module $top in the files"
    }
    foreach {interface signals} $::needed {
        foreach signal $signals {
            if {![regexp "\\m${interface}_$signal\\M" $body]} {
                refuse "ipx::package_project: $interface lacks $signal"
            }
        }
        lappend ::bus $interface
    }
    foreach name {clk rst interrupt} {
        if {![regexp "\\m$name\\M" $body]} {
            refuse "ipx::package_project: there is no port $name"
        }
    }
    lappend ::bus clk rst
    set ::clocked {}
}
define ipx::current_core {} {return ip}
define ipx::associate_bus_interfaces {-busif= -clock= -reset=} {
    foreach option {-busif -clock -reset} {
        if {[dict exists $given $option] && [dict get $given $option] ni $::bus} {
            refuse "ipx::associate_bus_interfaces: no interface [dict get $given $option]"
        }
    }
    if {[dict exists $given -busif]} {
        lappend ::clocked [option $given -busif]
    }
}
define ipx::infer_bus_interface {} {lappend ::bus [lindex $positional 0]}
define ipx::get_bus_interfaces {-of_objects=} {
    return [one $positional ipx::get_bus_interfaces $::bus]
}
define ipx::add_bus_parameter {} {return parameter:[join $positional :]}
define ipx::create_xgui_files {} {}
define ipx::update_checksums {} {}
define ipx::check_integrity {} {
    foreach interface {s_axi_control m_axi_gmem} {
        if {$interface ni $::clocked} {
            refuse "ipx::check_integrity: $interface has no clock"
        }
    }
    if {![info exists ::values(parameter:POLARITY:rst,value)]
            || $::values(parameter:POLARITY:rst,value) ne "ACTIVE_HIGH"} {
        refuse "ipx::check_integrity: the reset's polarity is not stated"
    }
    set ::packaged 1
}
define ipx::save_core {} {
    if {!$::packaged} {
        refuse "ipx::save_core: not checked"
    }
    set file [::real_open build/ip/component.xml w]
    puts $file "<component/>"
    close $file
}

# ---- block designs -----------------------------------------------------------------------------

define create_bd_design {} {}
define create_bd_cell {-type= -vlnv=} {
    lassign [split [option $given -vlnv] :] vendor library name version
    if {![dict exists $::catalog $name] || ($name eq "gatefold_host"
            ? [option $given -vlnv] ne "gatefold:core:gatefold_host:1.0" : $vendor ne "xilinx.com")} {
        refuse "create_bd_cell: no such IP: [option $given -vlnv]"
    }
    dict set ::cells [lindex $positional 0] $name
    return [lindex $positional 0]
}
define apply_bd_automation {-rule= -config=} {
    one $positional apply_bd_automation [dict keys $::cells]
}

proc pin {path which} {
    lassign [split $path /] cell name
    if {![dict exists $::cells $cell]} {
        refuse "no such cell: $path"
    }
    set pins [lindex [dict get $::catalog [dict get $::cells $cell]] $which]
    if {![dict exists $pins $name]} {
        refuse "no such pin: $path"
    }
    return [dict get $pins $name]
}
proc join_pins {command which positional} {
    lassign $positional from to
    if {[pin $from $which] ne "O" || [pin $to $which] ne "I"} {
        refuse "$command: must go from an output to an input: $from $to"
    }
    if {[dict exists $::nets $to]} {
        refuse "$command: $to has two sources"
    }
    dict set ::nets $to $from
}
define get_bd_intf_pins {} {pin [lindex $positional 0] 0; return $positional}
define get_bd_pins {} {pin [lindex $positional 0] 1; return $positional}
define connect_bd_intf_net {} {join_pins connect_bd_intf_net 0 $positional}
define connect_bd_net {} {join_pins connect_bd_net 1 $positional}
define get_bd_addr_spaces {} {
    return [one $positional get_bd_addr_spaces {ps/Data gatefold/m_axi_gmem}]
}
define get_bd_addr_segs {} {
    return [one $positional get_bd_addr_segs {gatefold/s_axi_control/reg0 ps/SAXIGP2/HP0_DDR_LOW}]
}
define assign_bd_address {-target_address_space= -offset= -range= -force} {
    if {![string is integer -strict [option $given -offset]]} {
        refuse "assign_bd_address: no offset: [option $given -offset]"
    }
    dict set ::mapped [option $given -target_address_space] [lindex $positional 0]
}
define validate_bd_design {} {
    dict for {cell name} $::cells {
        foreach which {0 1} {
            foreach {pin direction} [lindex [dict get $::catalog $name] $which] {
                if {$direction eq "I" && ![dict exists $::nets $cell/$pin]} {
                    refuse "validate_bd_design: $cell/$pin is not connected"
                }
            }
        }
    }
    if {[dict size $::mapped] != 2} {
        refuse "validate_bd_design: an address space is not mapped"
    }
    foreach name {M_AXI_GP0 S_AXI_GP2 IRQ0} {
        if {$::values(ps,CONFIG.PSU__USE__$name) != 1} {
            refuse "validate_bd_design: the processing system does not use $name"
        }
    }
}
define save_bd_design {} {}
define get_files {} {return $positional}
define make_wrapper {-files= -top} {
    set folder build/system/system.gen/sources_1/bd/system
    file mkdir $folder/hdl $folder/hw_handoff
    foreach name {hdl/system_wrapper.v hw_handoff/system.hwh} {
        close [::real_open $folder/$name w]
    }
}
define get_runs {} {return [one $positional get_runs {synth_1 impl_1}]}
define launch_runs {-to_step= -jobs=} {
    if {$::values(sources_1,top) ne "system_wrapper"} {
        refuse "launch_runs: the top is no wrapper"
    }
    set ::launched 1
}
define wait_on_runs {} {
    if {!$::launched} {
        refuse "wait_on_runs: nothing was launched"
    }
    file mkdir build/system/system.runs/impl_1
    close [::real_open build/system/system.runs/impl_1/system_wrapper.bit w]
}
define open_run {} {}
define write_hw_platform {-fixed -include_bit -force -file=} {
    close [::real_open [option $given -file] w]
}
define report_timing_summary {-file=} {}
define report_utilization {-file=} {}

rename exit real_exit
rename open real_open
proc exit {{code 0}} {
    flush $::log
    ::real_exit $code
}
proc open {path args} {
    if {[lindex $args 0] eq "w" && [lindex [file split $path] 0] ni {build output}} {
        refuse "open: writes outside build/ and output/: $path"
    }
    return [::real_open $path {*}$args]
}
if {[catch {source $script} message]} {
    refuse "error: $message"
}
exit 0
