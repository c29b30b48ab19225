# SPDX-License-Identifier: MIT
# peers.gnuplot -- time against heap size for one program, a panel for each number of threads, as an SVG.
#
# scripts/comparison/plots.py calls it with these variables set:
#   output, heading            the file to write; the line above the panels
#   files, captions            of the panels, one word each; a file has one data block a contender, in this order:
#   names, colours, bounded    the contenders; the first `bounded` of them have a heap size, the others are dashed
#   xtics, ytics               marks of the axes
#   left, right, least, most   the range of the heap sizes; of the times

panels = words(files)
width = 420 + 340 * panels
set terminal svg size width, 440 font "sans-serif,13" background "#ffffff"
set output output
set multiplot layout 1, panels title heading font ",15" \
  margins screen 0.08, screen 1 - 200.0 / width, screen 0.15, screen 0.83 spacing screen 0.05
set logscale xy
set xrange [left:right]
set yrange [least:most]
set border 3 linecolor rgb "#606060"
set grid ytics linetype 1 linecolor rgb "#e4e4e4"
set tics nomirror
unset mytics
unset mxtics
eval "set xtics (" . xtics . ")"
eval "set ytics (" . ytics . ")"
set xlabel "heap size / live size"
thickness(i) = word(names, i) eq "varve" ? 3.5 : 1.5

do for [panel = 1:panels] {
  set title word(captions, panel) . (word(captions, panel) eq "1" ? " thread" : " threads")
  if (panel == 1) { set ylabel "seconds" } else { unset ylabel }
  if (panel == panels) { set key at screen 0.99, screen 0.83 right top vertical Left reverse samplen 2 } \
  else { unset key }
  data = word(files, panel)
  plot for [i = 1:bounded] data index i - 1 using 1:2 with linespoints pointtype 7 pointsize 0.45 \
         linewidth thickness(i) linecolor rgb word(colours, i) title word(names, i), \
       for [i = bounded + 1:words(names)] data index i - 1 using 1:2 with lines dashtype 2 \
         linewidth 1.5 linecolor rgb word(colours, i) title word(names, i)
}
unset multiplot
