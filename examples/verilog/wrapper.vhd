-- A core of Gatefold in a design of VHDL. The component has the ports of core/rtl/gatefold.v, which
-- Vivado and Questa bind to the Verilog module of that name.
--
--   gatefold build --units 4 --features 2 --timesteps 3 --macs 8 -o core
--   ghdl -a --std=08 examples/verilog/wrapper.vhd && ghdl -e --std=08 wrapper
--
-- GHDL reads no Verilog: it elaborates the wrapper with the core as an empty component.
library ieee;
use ieee.std_logic_1164.all;

entity wrapper is
  generic (
    BEAT : positive := 128  -- bits of a beat: "stream" in core/core.json
  );
  port (
    clk         : in  std_logic;
    rst         : in  std_logic;
    in_data     : in  std_logic_vector(BEAT - 1 downto 0);
    in_valid    : in  std_logic;
    in_ready    : out std_logic;
    in_last     : in  std_logic;
    out_data    : out std_logic_vector(BEAT - 1 downto 0);
    out_valid   : out std_logic;
    out_ready   : in  std_logic;
    out_last    : out std_logic;
    frame_error : out std_logic
  );
end entity wrapper;

architecture rtl of wrapper is
  component gatefold is
    port (
      clk           : in  std_logic;
      rst           : in  std_logic;
      s_axis_tdata  : in  std_logic_vector(BEAT - 1 downto 0);
      s_axis_tvalid : in  std_logic;
      s_axis_tready : out std_logic;
      s_axis_tlast  : in  std_logic;
      m_axis_tdata  : out std_logic_vector(BEAT - 1 downto 0);
      m_axis_tvalid : out std_logic;
      m_axis_tready : in  std_logic;
      m_axis_tlast  : out std_logic;
      frame_error   : out std_logic
    );
  end component gatefold;
begin
  core : component gatefold
    port map (
      clk           => clk,
      rst           => rst,
      s_axis_tdata  => in_data,
      s_axis_tvalid => in_valid,
      s_axis_tready => in_ready,
      s_axis_tlast  => in_last,
      m_axis_tdata  => out_data,
      m_axis_tvalid => out_valid,
      m_axis_tready => out_ready,
      m_axis_tlast  => out_last,
      frame_error   => frame_error
    );
end architecture rtl;
