# A stand-in for Vivado: runs a batch script and refuses what Vivado's own manual does not list.
#
#   tclsh vivado_recorder.tcl SCRIPT LOG [key value ...]
#
# Every Vivado command the script may use is declared below with its options and the step of the
# flow from which it may be called. The options were read in UG835 (editions 2020.2 to 2024.1), but
# those of add_files, get_clocks, set_output_delay, set_property, get_property and version, which
# were written from memory. Calls are written to LOG as JSON lines.
# The recorder also checks what Vivado would find out: input files exist, the top module is in a
# source, the part exists, the macro for the weights names a folder. Constraints run after
# elaboration, in an interpreter that has only the commands an XDC file may use (UG903).
# Keys: wns, whs (slack returned, in ns; "none" for no path), where the defaults meet timing;
# version of Vivado; parts, which it has ("all" of them by default).
# Exit code: the script's own, or 97 where the script was refused (the reason on standard error).
# (A quarter of this file is the option tables, hence its length.)

set script [lindex $argv 0]
set log [open [lindex $argv 1] w]
array set model {wns 0.125 whs 0.031 version 2023.1 parts all}
array set model [lrange $argv 2 end]
set argv {}
set argc 0

# Steps of the flow, in order.
set steps {start project synthesised optimised placed routed}
set step start
set context tcl
set xdc_files {}
set sources {}
set ports {}
set clocks {}
set cells {}
set instances {}
set pblocks {}

# Parts, with the columns and rows of their clock regions and the number of their dies.
set known_parts {xczu7ev-ffvc1156-2-e {4 6 1} xczu9eg-ffvb1156-2-e {4 7 1}
    xck26-sfvc784-2LV-c {3 4 1} xcu280-fsvh2892-2L-e {8 12 3}
    xcu55c-fsvh2892-2L-e {8 12 3} xcu50-fsvh2104-2L-e {8 8 2}}
if {$model(parts) ne "all"} {
    set known_parts [dict filter $known_parts key $model(parts)]
}
# Directives: UG901, UG904.
set directives {
    synth_design {default RuntimeOptimized AreaOptimized_high AlternateRoutability
        PerformanceOptimized}
    opt_design {Default Explore ExploreArea ExploreWithRemap RuntimeOptimized}
    place_design {Default Explore ExtraNetDelay_high AltSpreadLogic_high SSI_SpreadLogic_high
        SSI_SpreadSLLs SSI_BalanceSLLs SSI_BalanceSLRs SSI_HighUtilSLRs SSI_ExtraTimingOpt}
    phys_opt_design {Default Explore AggressiveExplore AlternateReplication AggressiveFanoutOpt}
    route_design {Default Explore AggressiveExplore NoTimingRelaxation MoreGlobalIterations}
}

# Option lists: "-name" is a flag, "-name=" takes a value. Common to all: -quiet, -verbose.
set from_to {-from= -rise_from= -fall_from= -to= -rise_to= -fall_to= -through= -rise_through=
    -fall_through=}
set delay {-clock= -reference_pin= -clock_fall -rise -fall -max -min -add_delay
    -network_latency_included -source_latency_included}

# command {context, step needed, step reached or "", options, fewest and most positional arguments}
set commands [list \
    create_project {tcl start project {-part= -force -in_memory -ip -rtl_kernel} 0 2} \
    set_msg_config {tcl project {} {-id= -string= -severity= -limit= -new_severity= -suppress
        -regexp} 0 0} \
    read_verilog {tcl project {} {-library= -sv} 1 1} \
    add_files {tcl project {} {-fileset= -of_objects= -norecurse -copy_to= -force
        -scan_for_includes} 0 1} \
    read_xdc {tcl project {} {-cells= -ref= -quiet_diff_pairs -mode= -unmanaged -no_add} 1 1} \
    synth_design {tcl project synthesised {-name= -part= -constrset= -top= -include_dirs= -generic=
        -verilog_define= -flatten_hierarchy= -gated_clock_conversion= -directive= -rtl -bufg=
        -no_lc -shreg_min_size= -mode= -fsm_extraction= -rtl_skip_mlo -rtl_skip_ip
        -rtl_skip_constraints -keep_equivalent_registers -resource_sharing= -cascade_dsp=
        -control_set_opt_threshold= -max_bram= -max_uram= -max_dsp= -max_bram_cascade_height=
        -max_uram_cascade_height= -no_srlextract -assert -no_timing_driven -sfcu -debug_log} 0 0} \
    opt_design {tcl synthesised optimised {-retarget -propconst -sweep -bram_power_opt -remap
        -aggressive_remap -resynth_remap -resynth_area -resynth_seq_area -directive= -muxf_remap
        -hier_fanout_limit= -bufg_opt -mbufg_opt -shift_register_opt -dsp_register_opt
        -srl_remap_modes= -control_set_merge -control_set_opt -merge_equivalent_drivers
        -carry_remap -debug_log -property_opt_only} 0 0} \
    place_design {tcl optimised placed {-directive= -no_timing_driven -timing_summary -unplace
        -post_place_opt -no_psip -no_bufg_opt -ultrathreads} 0 0} \
    phys_opt_design {tcl placed {} {-fanout_opt -placement_opt -routing_opt -slr_crossing_opt
        -insert_negative_edge_ffs -critical_cell_opt -dsp_register_opt -bram_register_opt
        -uram_register_opt -bram_enable_opt -shift_register_opt -hold_fix -aggressive_hold_fix
        -retime -force_replication_on_nets= -directive= -critical_pin_opt -clock_opt -path_groups=
        -tns_cleanup -sll_reg_hold_fix} 0 0} \
    route_design {tcl placed routed {-unroute -release_memory -nets= -physical_nets -pins=
        -directive= -tns_cleanup -no_timing_driven -preserve -delay -auto_delay -max_delay=
        -min_delay= -timing_summary -finalize -ultrathreads -eco} 0 0} \
    write_checkpoint {tcl synthesised {} {-force -cell= -logic_function_stripped -encrypt -key=}
        0 1} \
    report_utilization {tcl synthesised {} {-file= -append -pblocks= -evaluate_pblock
        -exclude_child_pblocks -exclude_non_assigned -cells= -return_string -slr -packthru -name=
        -no_primitives -omit_locs -hierarchical -spreadsheet_file= -spreadsheet_table=
        -spreadsheet_depth= -hierarchical_depth= -hierarchical_percentages} 0 0} \
    report_ram_utilization {tcl synthesised {} {-append -file= -csv= -return_string -cells=
        -include_path_info -include_lutram} 0 0} \
    report_timing_summary {tcl synthesised {} {-check_timing_verbose -delay_type=
        -no_detailed_paths -setup -hold -max_paths= -nworst= -unique_pins -path_type=
        -no_reused_label -input_pins -no_pr_attribute -no_pblock -routable_nets -slack_lesser_than=
        -report_unconstrained -significant_digits= -no_header -file= -append -name= -return_string
        -warn_on_violation -datasheet -cells= -rpx=} 0 0} \
    report_methodology {tcl synthesised {} {-name= -cells= -checks= -file= -rpx= -append -waived
        -no_waivers -slack_lesser_than= -return_string -merge_exceptions=} 0 0} \
    report_drc {tcl synthesised {} {-name= -upgrade_cw -checks= -ruledecks= -file= -rpx= -append
        -waived -no_waivers -return_string} 0 0} \
    report_route_status {tcl routed {} {-return_nets -return_string -file= -append -of_objects=
        -route_type= -list_all_nets -show_all -dump_routes -has_routing -boolean_check=
        -ignore_cache -to_load=} 0 0} \
    report_power {tcl synthesised {} {-no_propagation -hier= -hierarchical_depth= -vid -advisory
        -file= -name= -format= -xpe= -l= -return_string -append -rpx=} 0 0} \
    report_high_fanout_nets {tcl synthesised {} {-file= -format= -append -ascending -timing
        -histogram -load_types -clock_regions -slr -max_nets= -fanout_greater_than= -fanout_lesser_than= -name=
        -cells= -clocks= -return_string} 0 0} \
    report_design_analysis {tcl synthesised {} {-file= -csv= -append -return_string -complexity
        -cells= -bounding_boxes= -hierarchical_depth= -congestion -min_congestion_level= -timing
        -setup -hold -show_all -full_logical_pin -routed_vs_estimated -logic_level_distribution
        -logic_level_dist_paths= -min_level= -max_level= -return_timing_paths -of_timing_paths=
        -max_paths= -extend -routes -end_point_clocks= -logic_levels= -qor_summary -json= -name=
        -no_pr_attribute} 0 0} \
    report_slr_crossing {tcl placed {} {-cells= -fanout_greater_than= -max_nets= -file= -append
        -return_string} 0 0} \
    get_parts {tcl start {} {-regexp -nocase -filter= -of_objects=} 0 1} \
    get_cells {both synthesised {} {-hsc= -hierarchical -regexp -nocase -filter= -of_objects=
        -match_style= -include_replicated_objects} 0 1} \
    get_clock_regions {tcl synthesised {} {-regexp -nocase -filter= -of_objects=} 0 1} \
    create_pblock {tcl synthesised {} {} 1 1} \
    resize_pblock {tcl synthesised {} {-add= -remove= -from= -to= -replace -locs=} 1 1} \
    add_cells_to_pblock {tcl synthesised {} {-top -add_primitives -clear_locs} 1 2} \
    get_timing_paths [list tcl synthesised {} [concat $from_to {-delay_type= -setup -hold
        -max_paths= -nworst= -unique_pins -slack_lesser_than= -slack_greater_than= -group=
        -no_report_unconstrained -user_ignored -routable_nets -sort_by= -filter= -regexp -nocase
        -cell=}] 0 0] \
    version {tcl start {} {-short} 0 0} \
    set_property {both project {} {-dict= -name= -value= -objects=} 2 3} \
    get_property {both project {} {-min -max} 2 2} \
    get_ports {both synthesised {} {-regexp -nocase -filter= -of_objects= -match_style=
        -scoped_to_current_instance -no_traverse -prop_thru_buffers} 0 1} \
    get_clocks {both synthesised {} {-regexp -nocase -filter= -of_objects= -match_style=
        -include_generated_clocks} 0 1} \
    create_clock {both synthesised {} {-name= -period= -waveform= -add} 0 1} \
    set_input_delay [list both synthesised {} $delay 2 2] \
    set_output_delay [list both synthesised {} $delay 2 2] \
    set_false_path [list both synthesised {} \
        [concat {-setup -hold -rise -fall -reset_path} $from_to] 0 0] \
]

source [file join [file dirname [info script]] vivado_words.tcl]

proc record {command words} {
    set quoted [lmap word $words {json $word}]
    puts $::log "{\"command\": [json $command], \"context\": [json $::context],\
        \"args\": \[[join $quoted ", "]\]}"
}

proc call {command args} {
    lassign [dict get $::commands $command] where needed reached options fewest most
    record $command $args
    if {[lsearch $::steps $::step] < [lsearch $::steps $needed]} {
        refuse "$command: the design must be at step $needed, not $::step"
    }
    lassign [parse $command $args [list -quiet -verbose {*}$options]] given positional
    set count [llength $positional]
    if {$count < $fewest || $count > $most} {
        refuse "$command: takes $fewest to $most arguments, not $count: $positional"
    }
    if {[dict exists $given -directive]
            && [option $given -directive] ni [dict get $::directives $command]} {
        refuse "$command: no such directive: [option $given -directive]"
    }
    foreach name {-file -csv -rpx} {
        if {[dict exists $given $name]} {
            produce $command [option $given $name]
        }
    }
    set result ""
    if {[info commands do_$command] ne ""} {
        set result [do_$command $given $positional]
    }
    if {$reached ne ""} {
        set ::step $reached
    }
    return $result
}

# Files: what is read must exist, what is written must land under build/ or reports/.
proc must_exist {command files} {
    foreach file $files {
        if {![file readable $file] || [file isdirectory $file]} {
            refuse "$command: no such file: $file"
        }
    }
}

proc must_be_output {command path} {
    if {[file pathtype $path] ne "relative" || [lindex [file split $path] 0] ni {build reports}
            || ".." in [file split $path]} {
        refuse "$command: writes outside build/ and reports/: $path"
    }
    if {![file isdirectory [file dirname $path]]} {
        refuse "$command: no such directory: [file dirname $path]"
    }
}

proc produce {command path} {
    must_be_output $command $path
    set file [::real_open $path w]
    puts $file "written by the recorder for $command"
    close $file
}

proc slurp {path} {
    set file [::real_open $path]
    set text [read $file]
    close $file
    return $text
}

# What single commands do beyond being recorded.
proc do_create_project {given positional} {
    set part [option $given -part]
    if {![dict exists $::known_parts $part]} {
        refuse "create_project: no such part: $part"
    }
    lassign [dict get $::known_parts $part] ::columns ::rows ::slrs
    if {![dict exists $given -in_memory]} {
        refuse "create_project: a batch flow takes -in_memory"
    }
}

proc do_read_verilog {given positional} {
    must_exist read_verilog $positional
    lappend ::sources {*}$positional
    return $positional
}

proc do_add_files {given positional} {
    must_exist add_files [lindex $positional 0]
    return [lindex $positional 0]
}

proc do_read_xdc {given positional} {
    must_exist read_xdc $positional
    if {[option $given -mode default] ni {default out_of_context}} {
        refuse "read_xdc: no such mode: [option $given -mode]"
    }
    lappend ::xdc_files {*}$positional
    return $positional
}

proc do_synth_design {given positional} {
    if {![dict exists $::known_parts [option $given -part]]} {
        refuse "synth_design: no such part: [option $given -part]"
    }
    if {[option $given -mode default] ni {default out_of_context}} {
        refuse "synth_design: no such mode: [option $given -mode]"
    }
    if {[option $given -flatten_hierarchy rebuilt] ni {full none rebuilt}} {
        refuse "synth_design: no such flattening: [option $given -flatten_hierarchy]"
    }
    set top [option $given -top]
    set body ""
    foreach file $::sources {
        set text [slurp $file]
        if {[regexp -indices [format {(?n)^module\s+%s\y} $top] $text where]} {
            set start [lindex $where 0]
            set body [string range $text $start [string first endmodule $text $start]]
            break
        }
    }
    if {$body eq ""} {
        refuse "synth_design: no module $top in the files read"
    }
    read_instances
    instantiate $top ""
    foreach {- direction name} [regexp -all -inline \
            {\y(input|output)\s+(?:wire\s+|reg\s+)?(?:\[[^\]]*\]\s*)?([A-Za-z_]\w*)} $body] {
        dict set ::ports $name [expr {$direction eq "input" ? "IN" : "OUT"}]
    }
    foreach define [expr {[dict exists $given -verilog_define]
            ? [dict get $given -verilog_define] : {}}] {
        if {![regexp {^([A-Za-z_]\w*)(?:=(.*))?$} $define -> name value]} {
            refuse "synth_design: not NAME=TEXT: $define"
        }
        if {$name eq "GATEFOLD_WEIGHTS"
                && !([regexp {^"([^"\s]+)"$} $value -> folder] && [file isdirectory $folder])} {
            refuse "synth_design: GATEFOLD_WEIGHTS is no quoted name of a folder: $value"
        }
    }
    set ::step synthesised
    foreach file $::xdc_files {
        run_xdc $file
    }
    if {$::clocks eq ""} {
        refuse "synth_design: the constraints create no clock"
    }
    return $top
}

# The cells of every module in the files read: lines "MODULE NAME (" inside it.
proc read_instances {} {
    set module ""
    foreach file $::sources {
        foreach line [split [slurp $file] \n] {
            if {[regexp {^module\s+(\w+)} $line -> module]} {
                dict set ::instances $module {}
            } elseif {[regexp {^ +([a-z]\w*) ([a-z]\w*) \($} $line -> below name]} {
                dict lappend ::instances $module $below $name
            }
        }
    }
}

# The cells below a module, by their paths.
proc instantiate {module above} {
    if {![dict exists $::instances $module]} {
        return
    }
    foreach {below name} [dict get $::instances $module] {
        lappend ::cells $above$name
        instantiate $below $above$name/
    }
}

proc run_xdc {path} {
    set xdc [interp create -safe]
    foreach name [interp eval $xdc {info commands}] {
        if {$name ni {set list expr}} {
            interp hide $xdc $name
        }
    }
    dict for {command entry} $::commands {
        if {[lindex $entry 0] eq "both"} {
            interp alias $xdc $command {} call $command
        }
    }
    set ::context xdc
    if {[catch {interp eval $xdc [slurp $path]} message]} {
        refuse "$path: $message"
    }
    set ::context tcl
    interp delete $xdc
}

proc do_write_checkpoint {given positional} {
    foreach path $positional {
        if {[file extension $path] ne ".dcp"} {
            refuse "write_checkpoint: not a .dcp file: $path"
        }
        produce write_checkpoint $path
    }
}

proc do_report_utilization {given positional} {
    if {![dict exists $given -return_string]} {
        return
    }
    return {1. CLB Logic
+----------------------------+-------+-------+------------+-----------+-------+
|          Site Type         |  Used | Fixed | Prohibited | Available | Util% |
+----------------------------+-------+-------+------------+-----------+-------+
| CLB LUTs                   | 41234 |     0 |          0 |    230400 | 17.90 |
|   LUT as Logic             | 39000 |     0 |          0 |    230400 | 16.93 |
|   LUT as Memory            |  2234 |     0 |          0 |    101760 |  2.20 |
| CLB Registers              | 51345 |     0 |          0 |    460800 | 11.14 |
| Block RAM Tile             | 112.5 |     0 |          0 |       312 | 36.06 |
|   RAMB36/FIFO*             |   112 |     0 |          0 |       312 | 35.90 |
| URAM                       |     0 |     0 |          0 |        96 |  0.00 |
| DSPs                       |  1040 |     0 |          0 |      1728 | 60.19 |
}
}

proc do_get_timing_paths {given positional} {
    set kind [expr {[dict exists $given -hold] ? "whs" : "wns"}]
    return [expr {$::model($kind) eq "none" ? {} : "path_$kind"}]
}

proc do_get_property {given positional} {
    lassign $positional name object
    if {$name in {STARTPOINT_PIN ENDPOINT_PIN} && [string match path_* $object]} {
        return {core/array/acc_reg[0]/C}
    }
    if {$name in {LOGIC_LEVELS DATAPATH_NET_DELAY} && [string match path_* $object]} {
        return [expr {$name eq "LOGIC_LEVELS" ? 3 : 1.234}]
    }
    if {$name eq "SLACK" && [regexp {^path_(wns|whs)$} $object -> kind]} {
        return $::model($kind)
    }
    refuse "get_property: [list $object] has no property $name"
}

proc do_set_property {given positional} {
    lassign $positional name value object
    if {[lindex $positional end] eq ""} {
        refuse "set_property: no object"
    }
    if {$name eq "USER_SLR_ASSIGNMENT"
            && !([regexp {^SLR([0-9])$} $value -> slr] && $slr < $::slrs)} {
        refuse "set_property: no such SLR: $value"
    }
    if {$name eq "IS_SOFT" && $object ni $::pblocks} {
        refuse "set_property: no such pblock: $object"
    }
}

proc do_version {given positional} {
    return [expr {[dict exists $given -short] ? $::model(version)
                  : "Vivado v$::model(version) (64-bit)\nSW Build 0 recorder"}]
}

proc do_get_parts {given positional} {
    return [expr {[dict exists $::known_parts [lindex $positional 0]] ? $positional : {}}]
}

proc do_get_cells {given positional} {
    if {![regexp {^NAME == ([a-z0-9_/]+)$} [option $given -filter] -> name]} {
        refuse "get_cells: not NAME == a name: [option $given -filter]"
    }
    return [expr {$name in $::cells ? $name : {}}]
}

proc do_get_clock_regions {given positional} {
    set found {}
    for {set x 0} {$x < $::columns} {incr x} {
        for {set y 0} {$y < $::rows} {incr y} {
            lappend found X${x}Y$y
        }
    }
    return $found
}

proc do_create_pblock {given positional} {
    lappend ::pblocks [lindex $positional 0]
    return [lindex $positional 0]
}

proc do_resize_pblock {given positional} {
    if {[lindex $positional 0] ni $::pblocks} {
        refuse "resize_pblock: no such pblock: $positional"
    }
    if {![regexp {^CLOCKREGION_X0Y(\d+):CLOCKREGION_X(\d+)Y(\d+)$} [option $given -add] \
            -> low right high] || $right >= $::columns || $high >= $::rows || $low > $high} {
        refuse "resize_pblock: no such clock regions: [option $given -add]"
    }
}

proc do_add_cells_to_pblock {given positional} {
    if {[lindex $positional 1] eq ""} {
        refuse "add_cells_to_pblock: no cells"
    }
}

# A -filter expression over NAME and DIRECTION, in Vivado's syntax: unquoted words, ==, !=, &&, ||.
proc passes {filter name direction} {
    set words [regsub -all {[A-Za-z_]\w*} $filter {"&"}]
    set expression [string map [list {"NAME"} "{$name}" {"DIRECTION"} "{$direction}" \
        == { eq } != { ne }] $words]
    return [expr $expression]
}

proc do_get_ports {given positional} {
    set found {}
    dict for {name direction} $::ports {
        if {([llength $positional] == 0 || [string match [lindex $positional 0] $name])
                && (![dict exists $given -filter]
                    || [passes [option $given -filter] $name $direction])} {
            lappend found $name
        }
    }
    if {$found eq ""} {
        refuse "get_ports: no port matches: $positional [option $given -filter]"
    }
    return $found
}

proc do_create_clock {given positional} {
    set period [option $given -period]
    if {![string is double -strict $period] || $period <= 0} {
        refuse "create_clock: no such period: $period"
    }
    lappend ::clocks [option $given -name [lindex $positional 0]]
}

proc check_delay {command given positional} {
    if {[option $given -clock] ni $::clocks} {
        refuse "$command: no such clock: [option $given -clock]"
    }
    if {![string is double -strict [lindex $positional 0]]} {
        refuse "$command: no such delay: [lindex $positional 0]"
    }
}
proc do_set_input_delay {given positional} {check_delay set_input_delay $given $positional}
proc do_set_output_delay {given positional} {check_delay set_output_delay $given $positional}

# Tcl's own commands, guarded.
rename exit real_exit
rename open real_open
proc open {path {access r} args} {
    if {$access ni {r rb}} {
        must_be_output open $path
    }
    return [::real_open $path $access {*}$args]
}
proc exit {{code 0}} {
    record exit [list $code]
    close $::log
    ::real_exit $code
}
rename exec {}

if {[package vcompare [regsub -all {[^0-9.]} $model(version) {}] 2025.2] < 0} {
    set commands [dict remove $commands report_slr_crossing]
}
dict for {command -} $commands {
    interp alias {} $command {} call $command
}
if {[catch {source $script} message]} {
    refuse $message
}
exit 0
