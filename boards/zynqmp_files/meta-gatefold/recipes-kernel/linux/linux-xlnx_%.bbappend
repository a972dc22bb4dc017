FILESEXTRAPATHS:prepend := "${THISDIR}/files:"
SRC_URI:append = " file://gatefold.cfg"
