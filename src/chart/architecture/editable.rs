//! The architecture as shapes that can be moved and changed: draw.io and Excalidraw.
//!
//! Both take boxes by place and arrows by the boxes that they connect, so an arrow follows its boxes.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::picture::ArchitectureContent;
use super::{Architecture, BoxShape};
use crate::chart::font::Ruler;
use crate::chart::layout::{Placement, Point};
use crate::chart::svg::{coordinate_text, escaped_xml};

/// Sizes of letters: of names and of details.
const SIZES: (f64, f64) = (14.0, 12.0);
/// The greatest width of a sheet.
const WIDTH: f64 = 2400.0;
const STRING: &str = "a string takes all text";

fn placed_boxes(architecture: &Architecture) -> (Vec<ArchitectureContent>, Placement) {
    let (contents, placement, _) =
        super::picture::place_boxes(architecture, &Ruler::new(None), SIZES, WIDTH);
    (contents, placement)
}

/// Returns the architecture as a file of draw.io (diagrams.net).
pub fn architecture_drawio(architecture: &Architecture) -> String {
    let (contents, placement) = placed_boxes(architecture);
    let title = escaped_xml(&architecture.diagram_title());
    let mut text = format!(
        "<mxfile host=\"blastwave\">\n<diagram id=\"architecture\" name=\"{title}\">\n\
         <mxGraphModel grid=\"1\" gridSize=\"10\" arrows=\"1\" page=\"0\">\n<root>\n\
         <mxCell id=\"0\"/>\n<mxCell id=\"1\" parent=\"0\"/>\n"
    );
    for (index, ((drawn, content), at)) in
        architecture.boxes.iter().zip(&contents).zip(&placement.boxes).enumerate()
    {
        let look = match drawn.shape {
            BoxShape::Flow => "rounded=1;arcSize=40;fillColor=#1A1A1A;fontColor=#FFFFFF;",
            BoxShape::Service => "rounded=1;fillColor=#F5F7F9;",
            BoxShape::External => "rounded=1;dashed=1;fillColor=#FFFFFF;",
            BoxShape::Group => "shape=ext;double=1;rounded=1;fillColor=#F5F7F9;",
        };
        // The label is HTML within XML: a name is made harmless for both.
        let label = escaped_xml(&format!(
            "<b>{}</b><br>{}",
            escaped_xml(&drawn.name),
            escaped_xml(&drawn.detail)
        ));
        writeln!(
            text,
            "<mxCell id=\"n{index}\" value=\"{label}\" style=\"html=1;whiteSpace=wrap;{look}strokeColor=#5A5A5A;\" \
             vertex=\"1\" parent=\"1\"><mxGeometry x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" as=\"geometry\"/></mxCell>",
            coordinate_text(at.x),
            coordinate_text(at.y),
            coordinate_text(content.size.width),
            coordinate_text(content.size.height)
        )
        .expect(STRING);
    }
    for (index, link) in architecture.links.iter().enumerate() {
        let dashed = if link.is_soft { "dashed=1;" } else { "" };
        writeln!(
            text,
            "<mxCell id=\"e{index}\" style=\"endArrow=block;endFill=1;{dashed}strokeColor=#5A5A5A;\" edge=\"1\" parent=\"1\" \
             source=\"n{}\" target=\"n{}\"><mxGeometry relative=\"1\" as=\"geometry\"/></mxCell>",
            link.from, link.to
        )
        .expect(STRING);
    }
    text.push_str("</root>\n</mxGraphModel>\n</diagram>\n</mxfile>\n");
    text
}

/// Returns the architecture as a scene of Excalidraw.
pub fn architecture_excalidraw(architecture: &Architecture) -> String {
    let (contents, placement) = placed_boxes(architecture);
    let mut elements = Vec::new();
    for (index, ((drawn, content), at)) in
        architecture.boxes.iter().zip(&contents).zip(&placement.boxes).enumerate()
    {
        let (fill, ink) = match drawn.shape {
            BoxShape::Flow => ("#1A1A1A", "#FFFFFF"),
            BoxShape::Service | BoxShape::Group => ("#F5F7F9", "#1A1A1A"),
            BoxShape::External => ("#FFFFFF", "#1A1A1A"),
        };
        // Excalidraw stores a binding at both ends: without it a box that is moved leaves its
        // arrows behind.
        let touching = architecture.links.iter().enumerate();
        let arrows = touching
            .filter(|(_, link)| link.from == index || link.to == index)
            .map(|(number, _)| json!({ "id": format!("e{number}"), "type": "arrow" }));
        let mut bound: Vec<Value> = arrows.collect();
        bound.push(json!({ "id": format!("t{index}"), "type": "text" }));
        let size = (content.size.width, content.size.height);
        let mut shape = new_element(&format!("n{index}"), "rectangle", *at, size);
        shape["backgroundColor"] = json!(fill);
        shape["roundness"] = json!({ "type": 3 });
        shape["boundElements"] = json!(bound);
        if drawn.shape == BoxShape::External {
            shape["strokeStyle"] = json!("dashed");
        }
        elements.push(shape);
        let lines: Vec<&str> =
            content.name.iter().chain(&content.detail).map(String::as_str).collect();
        let mut words = new_element(&format!("t{index}"), "text", *at, size);
        words["strokeColor"] = json!(ink);
        words["text"] = json!(lines.join("\n"));
        // Excalidraw restores a text from `originalText` when it is edited.
        words["originalText"] = words["text"].clone();
        words["fontSize"] = json!(SIZES.1);
        words["fontFamily"] = json!(2);
        words["textAlign"] = json!("center");
        words["verticalAlign"] = json!("middle");
        words["containerId"] = json!(format!("n{index}"));
        words["lineHeight"] = json!(1.25);
        elements.push(words);
    }
    for (index, link) in architecture.links.iter().enumerate() {
        let middle = |place: usize| {
            let (at, size) = (placement.boxes[place], contents[place].size);
            Point { x: at.x + size.width / 2.0, y: at.y + size.height / 2.0 }
        };
        let (from, to) = (middle(link.from), middle(link.to));
        let by = (to.x - from.x, to.y - from.y);
        let mut arrow = new_element(&format!("e{index}"), "arrow", from, (by.0.abs(), by.1.abs()));
        // The points of an arrow count from where it begins.
        arrow["points"] = json!([[0.0, 0.0], [by.0, by.1]]);
        arrow["startBinding"] =
            json!({ "elementId": format!("n{}", link.from), "focus": 0.0, "gap": 4.0 });
        arrow["endBinding"] =
            json!({ "elementId": format!("n{}", link.to), "focus": 0.0, "gap": 4.0 });
        arrow["endArrowhead"] = json!("triangle");
        if link.is_soft {
            arrow["strokeStyle"] = json!("dashed");
        }
        elements.push(arrow);
    }
    let scene = json!({
        "type": "excalidraw",
        "version": 2,
        "source": "blastwave",
        "elements": elements,
        "appState": { "viewBackgroundColor": "#ffffff" },
        "files": {},
    });
    let mut text = serde_json::to_string_pretty(&scene).expect("a scene is plain data");
    text.push('\n');
    text
}

/// Returns an element with all that Excalidraw asks for. Nothing in it is drawn by lot.
fn new_element(id: &str, kind: &str, at: Point, (width, height): (f64, f64)) -> Value {
    // Tenths of a pixel are enough, and keep files short.
    let rounded = |value: f64| (value * 10.0).round() / 10.0;
    json!({
        "id": id,
        "type": kind,
        "x": rounded(at.x),
        "y": rounded(at.y),
        "width": rounded(width),
        "height": rounded(height),
        "angle": 0,
        // Seeds and versions are fixed, so that equal topologies give equal files.
        "strokeColor": "#5A5A5A",
        "backgroundColor": "transparent",
        "fillStyle": "solid",
        "strokeWidth": 1,
        "strokeStyle": "solid",
        "roughness": 0,
        "opacity": 100,
        "groupIds": [],
        "seed": 1,
        "version": 1,
        "versionNonce": 1,
        "isDeleted": false,
        "boundElements": [],
    })
}
